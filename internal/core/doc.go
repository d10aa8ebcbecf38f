// Package core holds the words that every other package shares: who calls (Principal), what is asked (Prompt), what it
// was found to be (Intent, Deviation), what was decided (Verdict, Reason), what was used (Usage, MicroUSD), what is kept
// (Record), the objects an administrator manages (User, Team, App, Task, …), and the one error type with public words.
//
// It imports nothing of Plumbline and no third-party library. Types here carry no behaviour beyond small, pure methods.
package core
