package chain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Member is the name under which a line of a log holds a checkpoint's note.
const Member = "checkpoint"

// maxLine bounds a line that may hold a checkpoint; longer ones are passed over.
const maxLine = 16 << 10

// Read gives the checkpoints in a log of JSON lines, such as Plumbline's output or the file that it appends them to. Lines
// without one are passed over. A checkpoint that no key signed is an error with the number of its line.
func Read(from io.Reader, keys Keys) ([]Checkpoint, error) {
	var all []Checkpoint
	in := bufio.NewReaderSize(from, maxLine)
	for number := 1; ; number++ {
		line, tooLong, err := in.ReadLine()
		for more := tooLong; more && err == nil; {
			_, more, err = in.ReadLine()
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("audit: reading checkpoints: %w", err)
		}
		signed, ok := noteIn(line)
		if tooLong || !ok {
			continue
		}
		c, err := keys.Parse(signed)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, c)
	}
}

// noteIn gives the note that a line holds.
func noteIn(line []byte) ([]byte, bool) {
	if !bytes.Contains(line, []byte(`"`+Member+`"`)) {
		return nil, false
	}
	members := map[string]json.RawMessage{}
	var text string
	if json.Unmarshal(line, &members) != nil || json.Unmarshal(members[Member], &text) != nil || text == "" {
		return nil, false
	}
	return []byte(text), true
}
