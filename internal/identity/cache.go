package identity

import (
	"container/list"
	"sync"
)

// cache keeps the tokens that were verified last, by the SHA-256 of their text, so that a signature is paid for once.
type cache struct {
	capacity int

	mu      sync.Mutex
	entries map[[32]byte]*list.Element
	recent  list.List // of cached, the latest used first
}

type cached struct {
	hash  [32]byte
	token *token
}

func newCache(capacity int) *cache {
	return &cache{capacity: capacity, entries: make(map[[32]byte]*list.Element)}
}

func (c *cache) get(hash [32]byte) (*token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[hash]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cached).token, true
}

// put keeps t in place of what was kept for the same text, or of what was used least.
func (c *cache) put(hash [32]byte, t *token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[hash]; ok {
		e.Value.(*cached).token = t
		c.recent.MoveToFront(e)
		return
	}
	if len(c.entries) >= c.capacity {
		last := c.recent.Back()
		c.recent.Remove(last)
		delete(c.entries, last.Value.(*cached).hash)
	}
	c.entries[hash] = c.recent.PushFront(&cached{hash, t})
}
