package intent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/openai"
)

// talk is a conversation as people have them, as it stands in a body.
var talk = [...]string{
	`{"role":"system","content":"You are the assistant of the billing team of a mid-sized wholesaler. Answer in English, keep to the facts that are given, and quote the number of each document that you rely on. Where something is missing, say so instead of guessing."}`,
	`{"role":"user","content":"Hello,\n\nthe customer Northwind wrote to us about invoice \"2024-1178\". They say that the freight of 84,50 € was charged twice: once as a position of its own and once within the price of the pallets. I have copied both documents below.\n\n- Delivery note 5521: 12 pallets, 3 of them returned on the 14th.\n- Invoice 2024-1178: 12 pallets at 61.20, freight 84.50, discount 3 %.\n\nCan you check whether they are right? Please also tell me which amount we would have to refund."}`,
	`{"role":"assistant","content":"From the two documents:\n\n1. The price of 61.20 for each pallet includes carriage (see the note on delivery note 5521).\n2. Invoice 2024-1178 charges freight of 84.50 on top of it.\n\nSo the customer is right: the freight was charged twice. The three pallets that were returned are not on the invoice either. Their refund would be 183.60 before the discount."}`,
	`{"role":"user","content":"Thanks. Now write a short and friendly reply to the customer. It should explain what went wrong, name the amount of the refund and say that the credit note follows within five working days. Don't mention the returned pallets yet; the warehouse still has to confirm them. Keep it below 120 words, and end it with our usual line about the customer's portal."}`,
}

// chatBody is a chat of about size bytes.
func chatBody(size int) []byte {
	body := []byte(`{"model":"gpt-4o-mini","temperature":0.2,"max_completion_tokens":512,"stream":true,"stream_options":{"include_usage":true},"messages":[` + talk[0])
	for turn := 1; len(body) < size || turn%2 == 1; turn++ { // the last word is the user's
		body = append(append(body, ','), talk[1+(turn-1)%(len(talk)-1)]...)
	}
	return append(body, "]}"...)
}

// BenchmarkRead is how fast a chat becomes what is judged. read takes the body apart and keeps what can reach the model,
// read-and-view normalises that as well and cuts it into its sentences, read-and-words is all that is done before the
// models are asked: it ends with the words that they look at. Compare with the pass of the standard library over the same
// bytes, which this machine makes at the same time.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20} {
		body := chatBody(size)
		pass := func(name string, once func() bool) {
			b.Run(fmt.Sprintf("%dkB/%s", size>>10, name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if !once() {
						b.Fatal("not read")
					}
				}
			})
		}
		chats, _, _ := openai.Lookup("POST", "/v1/chat/completions")
		read := func() *openai.Request {
			r, err := openai.Read(chats, "application/json", body, openai.Allowance{MaxChoices: 1})
			if err != nil {
				b.Fatal(strings.TrimSpace(err.Public))
			}
			return r
		}
		pass("read", func() bool { return read() != nil })
		pass("read-and-view", func() bool {
			s := borrowScratch()
			defer s.giveBack()
			s.readUser(read().Prompt.Parts)
			return len(s.text) > 0
		})
		pass("read-and-words", func() bool { return NewView(read().Prompt).Unscored == "" })
		pass("encoding-json-valid", func() bool { return json.Valid(body) })
	}
}
