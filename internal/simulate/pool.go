package simulate

// pool is what one replica has leased of one counter in one window. It holds
//
//	posted + granted >= spent + held
//
// so that all that its calls hold or have spent is covered by what the counter's home has posted for it or keeps pending.
// Slabs are alike: which slab a call spends is never asked.
type pool struct {
	slabs   []slab
	granted int64 // the slabs together: pending at the home
	posted  int64 // spent, and settled at the home
	spent   int64 // by calls that have ended
	held    int64 // by calls that have not
}

// slab is one loan: a reservation at the counter's home.
type slab struct {
	id     string
	amount int64
}

// settlement says what of a slab was spent; the home releases the rest.
type settlement struct {
	slab slab
	used int64
}

// free gives what calls can still take.
func (p *pool) free() int64 { return p.posted + p.granted - p.spent - p.held }

func (p *pool) add(s slab) {
	p.slabs = append(p.slabs, s)
	p.granted += s.amount
}

// grow adds what the home has added to the first slab.
func (p *pool) grow(more int64) {
	p.slabs[0].amount += more
	p.granted += more
}

// take holds an amount, or nothing if there is less.
func (p *pool) take(n int64) bool {
	if n > p.free() {
		return false
	}
	p.held += n
	return true
}

// giveBack ends a hold of which some was spent.
func (p *pool) giveBack(held, spent int64) {
	p.held -= held
	p.spent += spent
}

// fold settles slabs that are spent, and gives back what is free beyond an amount to keep. What a slab is settled at is
// some of what was spent and is not yet posted, so that in the end exactly what was spent is posted.
func (p *pool) fold(keep int64) []settlement {
	var folded []settlement
	rest := p.slabs[:0]
	for _, s := range p.slabs {
		used := s.amount - min(s.amount, max(0, p.free()-keep))
		if used > p.spent-p.posted {
			rest = append(rest, s)
			continue
		}
		p.granted -= s.amount
		p.posted += used
		folded = append(folded, settlement{s, used})
	}
	p.slabs = rest
	return folded
}
