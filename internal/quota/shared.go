package quota

import "time"

// Live is a reservation that a ledger which lost what it held is to hold again.
type Live struct {
	Request Request // At is the time of admission that pins its windows
	Held    Amounts
	Used    Amounts // the last progress
}

// Posting adds to what is posted in one window of a counter.
type Posting struct {
	Key    CounterKey
	Window Window
	Bucket int64     // of the sliding minute, else 0
	End    time.Time // of the calendar window, else zero
	Amount int64     // may be below zero; what is posted stops at 0
}
