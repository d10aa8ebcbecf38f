// Package intent prepares the views of a prompt that are judged and says what the prompt asks for.
//
// [NewView] reads a prompt once: it undoes what hides text from a reader (compatibility forms, invisible and
// direction-changing characters, tag characters), picks the sentences that ask for something, and cuts them into words.
// [Classifier] puts a view into one of a closed set of classes, or says that it is uncertain. Package deviation scores
// the same view against tasks, so that a prompt is prepared once however often it is judged.
//
// Both are pure functions of their input and the embedded weights: no clock, no network, no state. The work is bounded
// whatever the size of the prompt (see [NewView]), and nothing panics on hostile text.
//
// It imports core only, and must not import policy, gate or any front or back end.
package intent
