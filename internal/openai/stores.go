package openai

import (
	"strconv"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// Bounds of what stands with a vector store or a file in it. Those of attributes are the provider's own.
const (
	maxAttributes     = 16
	maxAttributeName  = 64  // characters
	maxAttributeValue = 512 // characters
	maxStoreText      = 4096
	maxSearchResults  = 50
	maxChunk          = 4096 // tokens, by the provider's reference
	maxExpiryDays     = 365
)

// storeMembers are the members of a body, by the ways to read them.
type storeMembers map[string]func(*storeBody) *core.Error

// storeBodies are the bodies of the endpoints of vector stores. What of them is searched by or may be shown to a model is
// part of the prompt: the search is asked by the user, all else stands beside it.
var storeBodies = map[string]storeMembers{
	"vector_stores.create": {
		"name": (*storeBody).label, "description": (*storeBody).label, "metadata": (*storeBody).attributes,
		"expires_after": (*storeBody).expiry, "chunking_strategy": (*storeBody).chunking, "file_ids": (*storeBody).files,
	},
	"vector_stores.update": {
		"name": (*storeBody).label, "metadata": (*storeBody).attributes, "expires_after": (*storeBody).expiry,
	},
	"vector_stores.files.create": {
		"file_id": (*storeBody).file, "attributes": (*storeBody).attributes, "chunking_strategy": (*storeBody).chunking,
	},
	"vector_stores.files.update": {"attributes": (*storeBody).attributes},
	"vector_stores.file_batches.create": {
		"file_ids": (*storeBody).files, "files": (*storeBody).fileObjects, "attributes": (*storeBody).attributes,
		"chunking_strategy": (*storeBody).chunking,
	},
	"vector_stores.search": {
		"query": (*storeBody).query, "filters": (*storeBody).filters, "max_num_results": (*storeBody).results,
		"ranking_options": (*storeBody).ranking, "rewrite_query": (*storeBody).rewrite,
	},
}

// storeRequired are the members that a body must have.
var storeRequired = map[string]string{
	"vector_stores.files.create": "file_id", "vector_stores.files.update": "attributes", "vector_stores.search": "query",
}

// storeBody is the reading of a body of an endpoint of vector stores.
type storeBody struct {
	*draft
}

func (b *storeBody) read(members storeMembers) *core.Error {
	required := storeRequired[b.req.Endpoint]
	seen := required == ""
	e := b.members(func(name []byte) *core.Error {
		read := members[string(name)]
		if read == nil {
			return b.unknown(name)
		}
		if string(name) == required && b.peek() != 'n' {
			seen = true
		}
		return b.nullOr(func() *core.Error { return read(b) })
	})
	if e == nil && !seen {
		return missing(required)
	}
	return e
}

// label reads a name or a description.
func (b *storeBody) label() *core.Error { return b.short(maxStoreText) }

// short reads a text of so many characters at most that belongs to no message.
func (b *storeBody) short(most int) *core.Error {
	s, e := b.text()
	switch {
	case e != nil:
		return e
	case utf8.RuneCount(s) > most:
		return b.invalid("must have at most " + strconv.Itoa(most) + " characters")
	}
	b.add(core.RoleMeta, core.KindMeta, -1, s)
	return nil
}

// attributes reads the pairs that stand with a file or a store.
func (b *storeBody) attributes() *core.Error {
	n := 0
	return b.object(func(name []byte) *core.Error {
		switch n++; {
		case n > maxAttributes:
			return b.invalid("is one more than the " + strconv.Itoa(maxAttributes) + " that there may be")
		case utf8.RuneCount(name) > maxAttributeName:
			return b.invalid("must have a name of at most " + strconv.Itoa(maxAttributeName) + " characters")
		}
		b.add(core.RoleMeta, core.KindMeta, -1, name)
		return b.plain()
	})
}

// plain reads a text, a number or a truth value.
func (b *storeBody) plain() *core.Error {
	switch b.peek() {
	case '"':
		return b.short(maxAttributeValue)
	case 't', 'f':
		_, e := b.boolean()
		return e
	default:
		return b.number()
	}
}

func (b *storeBody) expiry() *core.Error {
	return b.object(func(name []byte) *core.Error {
		switch string(name) {
		case "anchor":
			return b.word("last_active_at")
		case "days":
			return b.count(maxExpiryDays)
		}
		return b.unknown(name)
	})
}

// chunking reads how files are cut into pieces.
func (b *storeBody) chunking() *core.Error {
	return b.object(func(name []byte) *core.Error {
		switch string(name) {
		case "type":
			return b.word("auto", "static")
		case "static":
			return b.nullOr(func() *core.Error {
				return b.object(func(name []byte) *core.Error {
					switch string(name) {
					case "max_chunk_size_tokens", "chunk_overlap_tokens":
						return b.count(maxChunk)
					}
					return b.unknown(name)
				})
			})
		}
		return b.unknown(name)
	})
}

// count reads a whole number up to most.
func (b *storeBody) count(most int64) *core.Error {
	_, _, _, e := b.integer(most)
	return e
}

func (b *storeBody) results() *core.Error { return b.count(maxSearchResults) }

func (b *storeBody) rewrite() *core.Error {
	_, e := b.boolean()
	return e
}

func (b *storeBody) file() *core.Error { return b.reference(core.ObjectFile) }

func (b *storeBody) files() *core.Error {
	return b.array(func(int) *core.Error { return b.file() })
}

// fileObjects reads files with attributes of their own.
func (b *storeBody) fileObjects() *core.Error {
	return b.array(func(int) *core.Error {
		return b.object(func(name []byte) *core.Error {
			switch string(name) {
			case "file_id":
				return b.file()
			case "attributes":
				return b.nullOr(b.attributes)
			case "chunking_strategy":
				return b.nullOr(b.chunking)
			}
			return b.unknown(name)
		})
	})
}

// query reads what is searched for: a text, or several that are judged together.
func (b *storeBody) query() *core.Error {
	if b.peek() == '[' {
		return b.array(func(int) *core.Error { return b.asked() })
	}
	return b.asked()
}

func (b *storeBody) asked() *core.Error {
	b.req.size.messages++
	return b.prompted(core.RoleUser, 0)
}

func (b *storeBody) ranking() *core.Error {
	return b.object(func(name []byte) *core.Error {
		switch string(name) {
		case "ranker":
			return b.word("none", "auto", "default-2024-11-15")
		case "score_threshold":
			return b.number()
		}
		return b.unknown(name)
	})
}

// filters reads a comparison of an attribute, or several that are joined.
func (b *storeBody) filters() *core.Error {
	return b.object(func(name []byte) *core.Error {
		switch string(name) {
		case "type":
			return b.word("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or")
		case "key":
			return b.short(maxAttributeName)
		case "value":
			if b.peek() == '[' {
				return b.array(func(int) *core.Error { return b.plain() })
			}
			return b.plain()
		case "filters":
			return b.array(func(int) *core.Error { return b.filters() })
		}
		return b.unknown(name)
	})
}
