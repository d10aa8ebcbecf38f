package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

const (
	keySize   = 32
	nonceSize = 24
	tagSize   = 16
	// overhead is by how much a sealed text is longer than the text.
	overhead = nonceSize + tagSize
)

// aead is XAES-256-GCM (C2SP, XAES-256-GCM.md): AES-256-GCM under a key that is derived for each message from half of a
// random nonce of 192 bits.
//
// Plain AES-GCM with random nonces of 96 bits may seal 2³² messages under one key (NIST SP 800-38D §8.3), which the key of
// a busy app meets within months, and a nonce that is met twice gives away the key of its authentication. Here two messages
// would have to meet in all 192 bits: after 2⁸⁰ messages that is as likely as after 2³² there. So nobody counts messages,
// and replicas that share a key need not agree on anything.
type aead struct {
	block cipher.Block
	mask  [aes.BlockSize]byte // K1 of CMAC
}

func newAEAD(key []byte) aead {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("seal: a key of the wrong size: " + err.Error()) // keys are arrays of keySize bytes
	}
	a := aead{block: block}
	block.Encrypt(a.mask[:], a.mask[:])
	var carry byte
	for i := len(a.mask) - 1; i >= 0; i-- {
		b := a.mask[i]
		a.mask[i] = b<<1 | carry
		carry = b >> 7
	}
	a.mask[len(a.mask)-1] ^= 0x87 & -carry
	return a
}

// derive gives AES-256-GCM under the key of one nonce: counter-mode KDF of SP 800-108 with CMAC, of two blocks.
func (a aead) derive(nonce []byte) cipher.AEAD {
	var key [keySize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], nonce[:12])
		for j := range half {
			half[j] ^= a.mask[j]
		}
		a.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err == nil {
		var gcm cipher.AEAD
		if gcm, err = cipher.NewGCM(block); err == nil {
			return gcm
		}
	}
	panic("seal: " + err.Error()) // the sizes are constants
}

// seal gives nonce, ciphertext and tag.
func (a aead) seal(text, bound []byte) []byte {
	out := make([]byte, nonceSize, overhead+len(text))
	_, _ = rand.Read(out) // never fails: crypto/rand ends the process instead
	return a.derive(out).Seal(out, out[12:], text, bound)
}

// errSealed says that something was not sealed under this key for this place, or was changed.
var errSealed = errors.New("seal: it was not sealed under this key for this place, or was changed")

func (a aead) open(sealed, bound []byte) ([]byte, error) {
	if len(sealed) < overhead {
		return nil, errSealed
	}
	text, err := a.derive(sealed).Open(nil, sealed[12:nonceSize], sealed[nonceSize:], bound)
	if err != nil {
		return nil, errSealed
	}
	return text, nil
}
