package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/store"
)

// micros scans microseconds into a time.
type micros struct{ into *time.Time }

func (m micros) Scan(value any) error {
	us, ok := value.(int64)
	if !ok {
		return fmt.Errorf("a time is kept as %T", value)
	}
	*m.into = store.FromMicros(us)
	return nil
}

// optional scans a text that may be NULL; NULL is empty.
type optional struct{ into *string }

func (o optional) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*o.into = ""
	case string:
		*o.into = v
	default:
		return fmt.Errorf("a text is kept as %T", value)
	}
	return nil
}

// blob keeps bytes that may be none, where the column may not be NULL.
type blob struct{ bytes *[]byte }

func (b blob) Value() (driver.Value, error) { return append([]byte{}, *b.bytes...), nil }

func (b blob) Scan(value any) error {
	bytes, ok := value.([]byte)
	if !ok {
		return fmt.Errorf("bytes are kept as %T", value)
	}
	*b.bytes = append([]byte(nil), bytes...) // the driver reuses its own
	return nil
}

// texts keeps a list of texts as JSON.
type texts struct{ list *[]string }

func (t texts) Value() (driver.Value, error) {
	if len(*t.list) == 0 {
		return "[]", nil
	}
	data, err := json.Marshal(*t.list)
	return string(data), err
}

func (t texts) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("a list is kept as %T", value)
	}
	if text == "[]" {
		*t.list = nil
		return nil
	}
	return json.Unmarshal([]byte(text), t.list)
}
