package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

// call is one request of the tour, as an app would send it.
type call struct {
	Method, Path string
	// Credentials are sent as Authorization: Bearer, one header each.
	Credentials []string
	Header      map[string]string
	Body        string
	// HangUpAfter ends the connection after this many bytes of the answer.
	HangUpAfter int
}

// reply is what the caller saw.
type reply struct {
	Status   int
	Exchange string // the id of the exchange, if the reply names one
	Notice   string
	Body     string
	Broken   bool // the answer ended before its end
}

// requestTimeout bounds one call of the tour.
const requestTimeout = 30 * time.Second

// do sends a call. Each call has a connection of its own, so that hanging up ends it.
func (c call) do(ctx context.Context, base string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.Method, base+c.Path, strings.NewReader(c.Body))
	if err != nil {
		return reply{}, err
	}
	if c.Body != "" {
		req.Header.Set("content-type", "application/json")
	}
	for name, value := range c.Header {
		req.Header.Set(name, value)
	}
	for _, credential := range c.Credentials {
		req.Header.Add("authorization", "Bearer "+credential)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, fmt.Errorf("%s %s: %w", c.Method, c.Path, err)
	}
	defer res.Body.Close()
	r := reply{Status: res.StatusCode, Exchange: res.Header.Get("x-plumbline-request-id"), Notice: res.Header.Get("x-plumbline-notice")}
	var body io.Reader = res.Body
	if c.HangUpAfter > 0 {
		body = io.LimitReader(body, int64(c.HangUpAfter))
	}
	data, err := io.ReadAll(body)
	r.Body = string(data)
	r.Broken = errors.Is(err, io.ErrUnexpectedEOF)
	if r.Exchange == "" {
		r.Exchange = exchangeOf(data)
	}
	return r, nil
}

// exchangeOf reads the id of the exchange from an error of Plumbline's.
func exchangeOf(body []byte) string {
	var e struct {
		Error struct {
			Plumbline struct {
				RequestID string `json:"request_id"`
			} `json:"plumbline"`
		} `json:"error"`
	}
	if json.Unmarshal(bytes.TrimSpace(body), &e) != nil {
		return ""
	}
	return e.Error.Plumbline.RequestID
}

// chat is a chat request's body.
func chat(model, prompt string, more map[string]any) string {
	return prompted(model, "messages", []map[string]string{{"role": "user", "content": prompt}}, more)
}

// prompted is the body of a request whose prompt is the member of that name.
func prompted(model, name string, prompt any, more map[string]any) string {
	body := map[string]any{"model": model, name: prompt}
	maps.Copy(body, more)
	data, err := json.Marshal(body)
	if err != nil {
		return "" // strings and numbers always marshal
	}
	return string(data)
}
