// Package openai is the OpenAI wire: which endpoints exist and what is done with each (Lookup), strict reading of
// requests (Read, as far as an Allowance goes) and splices into them (Request.Rewrite), reading answers and event streams
// while they pass (Answer), tokens and prices (PriceTable, ImportLiteLLM), and error replies that the official SDKs
// understand (ErrorReply).
//
// Contract: a body is parsed once, strictly; what was judged is what is forwarded; what is not understood is denied.
// Nothing here does I/O, keeps state between exchanges or knows a clock. Prompt text is in Request.Prompt alone, never
// in an error. It must not import a front end, a back end or a sibling such as policy or quota.
package openai
