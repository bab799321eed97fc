package image

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestPatience: a short limit is waited for, a long one explained.
func TestPatience(t *testing.T) {
	var asked, pauses atomic.Int32
	header := map[string]string{}
	refusals := int32(0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= refusals {
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	client := http.Client{Transport: patient{http.DefaultTransport, noPause(&pauses)}}
	in := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	for _, test := range []struct {
		name     string
		header   map[string]string
		refusals int32
		pauses   int32
		says     []string // nil: no error
	}{
		{"none", nil, 0, 0, nil},
		{"seconds", map[string]string{"Retry-After": "2"}, 2, 2, nil},
		{"unsaid", nil, 3, 3, nil},
		{"always", nil, 99, mostWaits, []string{"toomanyrequests", "rl login "}},
		{"long", map[string]string{"Retry-After": "3600"}, 99, 0, []string{"again at ", "in 1h"}},
		{"hub", map[string]string{"Retry-After": in(2 * time.Hour), "RateLimit-Limit": "100;w=21600"}, 99, 0, []string{"its limit is 100 in 6h", "again at "}},
		{"date", map[string]string{"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}, 99, 0, []string{"again at "}},
		{"reset", map[string]string{"X-RateLimit-Reset": in(time.Hour)}, 99, 0, []string{"again at "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked.Store(0)
			pauses.Store(0)
			header, refusals = test.header, test.refusals
			answer, err := client.Get(server.URL)
			if err == nil {
				answer.Body.Close()
			}
			if (err != nil) != (test.says != nil) || pauses.Load() != test.pauses {
				t.Fatalf("%v after %d pauses, not %d", err, pauses.Load(), test.pauses)
			}
			var limit *rateLimit
			if err != nil && !errors.As(err, &limit) {
				t.Errorf("%v is no rateLimit", err)
			}
			for _, text := range test.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
		})
	}
}
