// Package jobs runs Plumbline's background work: each job once in its period, whichever replica does it.
//
// The queue is River's. It lies in the control data, in Postgres or in plumbline.db, so that replicas share it: they elect
// a leader, which puts each job into the queue once a period, and any of them takes it from there. What a job does must
// bear being done twice: a process that is killed in the middle of one leaves it to another after RescueAfter.
//
// A job that fails is tried again a few times, further and further apart, and is then discarded: it is listed and counted,
// and the next period brings a new one. What is kept of a failure are the words of Options.Words alone. No other error
// text, panic or argument reaches the queue's tables.
//
// The package is the only one that knows River. It knows no job: whoever starts it hands them in.
package jobs
