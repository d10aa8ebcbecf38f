package redisproc

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Proxy stands between clients and a server, and does to their bytes what networks do.
type Proxy struct {
	// Addr is what clients dial, host:port.
	Addr string

	listener net.Listener
	tasks    sync.WaitGroup

	mu      sync.Mutex
	to      string
	held    bool
	delay   time.Duration
	changed chan struct{} // closed at the next change
	closed  bool
	conns   map[net.Conn]struct{}
}

// NewProxy starts a proxy to an address, which lets all pass, and stops it at the end of the test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), listener: l, to: to, changed: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	p.tasks.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Hold lets nothing pass until Pass: new connections are taken, and what clients send on any of them waits.
func (p *Proxy) Hold() { p.change(func() { p.held = true }) }

// Pass lets pass what was held, and all that comes, at once.
func (p *Proxy) Pass() { p.change(func() { p.held, p.delay = false, 0 }) }

// Delay lets every byte pass so much later, in both directions.
func (p *Proxy) Delay(d time.Duration) { p.change(func() { p.held, p.delay = false, d }) }

// To leads later connections to another address.
func (p *Proxy) To(address string) { p.change(func() { p.to = address }) }

// Cut ends all connections, and drops what is held on them.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

func (p *Proxy) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	if !p.closed {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed, p.held, p.delay = true, false, 0
	close(p.changed)
	p.cut()
	p.mu.Unlock()
	p.tasks.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.tasks.Go(func() { p.serve(client) })
	}
}

// serve carries one connection until either side ends it.
func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	p.mu.Lock()
	to := p.to
	p.mu.Unlock()
	network := "tcp"
	if filepath.IsAbs(to) {
		network = "unix"
	}
	var d net.Dialer
	server, err := d.DialContext(context.Background(), network, to)
	if err != nil {
		return
	}
	if !p.keep(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client) })
	both.Go(func() { p.carry(client, server) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// keep notes connections to cut, and reports whether the proxy still serves.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			_ = c.Close()
			continue
		}
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

// piece is bytes and when they came.
type piece struct {
	data []byte
	came time.Time
}

// mostPieces bounds what is held of one direction of a connection.
const mostPieces = 1 << 12

// carry takes bytes from one side and gives them to the other when it is their time, also when the one has ended.
func (p *Proxy) carry(to, from net.Conn) {
	pieces := make(chan piece, mostPieces)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pieces)
		for {
			room := make([]byte, 16<<10)
			n, err := from.Read(room)
			if n > 0 {
				pieces <- piece{room[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	})
	for c := range pieces {
		p.await(c.came)
		if _, err := to.Write(c.data); err != nil {
			_ = from.Close()
		}
	}
	_ = to.Close()
	reader.Wait()
}

// await returns when bytes that came at a time may pass.
func (p *Proxy) await(came time.Time) {
	for {
		p.mu.Lock()
		held, rest, changed := p.held, time.Until(came.Add(p.delay)), p.changed
		p.mu.Unlock()
		if !held && rest <= 0 {
			return
		}
		var timer <-chan time.Time
		if !held {
			timer = time.After(rest)
		}
		select {
		case <-changed:
		case <-timer:
		}
	}
}
