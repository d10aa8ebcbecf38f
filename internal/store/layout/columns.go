package layout

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/store"
)

// Micros scans Microseconds into a time.
type Micros struct{ Into *time.Time }

// Scan implements sql.Scanner.
func (m Micros) Scan(value any) error {
	us, ok := value.(int64)
	if !ok {
		return fmt.Errorf("a time is kept as %T", value)
	}
	*m.Into = store.FromMicros(us)
	return nil
}

// Optional scans a text that may be NULL; NULL is empty.
type Optional struct{ Into *string }

// Scan implements sql.Scanner.
func (o Optional) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*o.Into = ""
	case string:
		*o.Into = v
	default:
		return fmt.Errorf("a text is kept as %T", value)
	}
	return nil
}

// Blob keeps bytes that may be none, where the column may not be NULL.
type Blob struct{ Bytes *[]byte }

// Value implements driver.Valuer.
func (b Blob) Value() (driver.Value, error) { return append([]byte{}, *b.Bytes...), nil }

// Scan implements sql.Scanner.
func (b Blob) Scan(value any) error {
	bytes, ok := value.([]byte)
	if !ok {
		return fmt.Errorf("bytes are kept as %T", value)
	}
	*b.Bytes = append([]byte(nil), bytes...) // the driver reuses its own
	return nil
}

// Texts keeps a list of Texts as JSON.
type Texts struct{ List *[]string }

// Value implements driver.Valuer.
func (t Texts) Value() (driver.Value, error) {
	if len(*t.List) == 0 {
		return "[]", nil
	}
	data, err := json.Marshal(*t.List)
	return string(data), err
}

// Scan implements sql.Scanner.
func (t Texts) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("a list is kept as %T", value)
	}
	if text == "[]" {
		*t.List = nil
		return nil
	}
	return json.Unmarshal([]byte(text), t.List)
}
