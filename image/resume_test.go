package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// noPause waits for nothing, and counts.
func noPause(pauses *atomic.Int32) func(context.Context, time.Duration) error {
	return func(context.Context, time.Duration) error { pauses.Add(1); return nil }
}

// get reads what a server that handle writes for sends.
func get(t *testing.T, silence time.Duration, handle http.HandlerFunc) (body []byte, pauses int32, err error) {
	t.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	var count atomic.Int32
	client := http.Client{Transport: resuming{http.DefaultTransport, noPause(&count), silence}}
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return body, count.Load(), err
}

// cutAfter sends at most so many bytes of an answer, then breaks the connection.
type cutAfter struct {
	http.ResponseWriter
	left int
}

func (c *cutAfter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func TestResume(t *testing.T) {
	want := noise(1 << 20)
	for name, ranges := range map[string]bool{"ranges": true, "whole": false} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			got, _, err := get(t, quiet, func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Range"))
				if !ranges {
					r.Header.Del("Range")
				}
				http.ServeContent(&cutAfter{w, 300 << 10 * len(asked)}, r, "", time.Time{}, bytes.NewReader(want))
			})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, %v, of %d; asked for %q", len(got), err, len(want), asked)
			}
			if len(asked) < 2 || asked[0] != "" || !strings.HasPrefix(asked[1], "bytes=") || asked[1] == "bytes=0-" {
				t.Errorf("asked for %q: the second time for the rest", asked)
			}
		})
	}
}

// TestResumeSilence: a connection over which nothing comes is left for another.
func TestResumeSilence(t *testing.T) {
	want := noise(64 << 10)
	var asked atomic.Int32
	got, _, err := get(t, 50*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(want))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(want)))
		_, _ = w.Write(want[:1000])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if err != nil || !bytes.Equal(got, want) || asked.Load() != 2 {
		t.Errorf("got %d bytes of %d, %v, by %d requests", len(got), len(want), err, asked.Load())
	}
}

// TestResumeSilenceAgain: one that begins anew, and falls silent where it was before, too.
func TestResumeSilenceAgain(t *testing.T) {
	want := noise(64 << 10)
	var asked atomic.Int32
	got, _, err := get(t, 50*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		left := map[int32]int{1: 1000, 2: 500, 3: 2000}[asked.Add(1)]
		w.Header().Set("Content-Length", strconv.Itoa(len(want)))
		if left == 0 {
			_, _ = w.Write(want)
			return
		}
		_, _ = w.Write(want[:left])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if err != nil || !bytes.Equal(got, want) || asked.Load() != 4 {
		t.Errorf("got %d bytes of %d, %v, by %d requests", len(got), len(want), err, asked.Load())
	}
}

// TestResumeEnds: a server that always breaks off at one place is given up, and
// one that refuses at once.
func TestResumeEnds(t *testing.T) {
	want := noise(64 << 10)
	var asked atomic.Int32
	always := func(w http.ResponseWriter, r *http.Request) {
		left := 1000
		if asked.Add(1) > 1 {
			left = 0
		}
		http.ServeContent(&cutAfter{w, left}, r, "", time.Time{}, bytes.NewReader(want))
	}
	got, pauses, err := get(t, quiet, always)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "broke off") || len(got) != 1000 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if pauses != mostResumes-1 {
		t.Errorf("%d pauses, %d resumptions have one less", pauses, mostResumes)
	}
	asked.Store(0)
	_, pauses, err = get(t, quiet, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		always(w, r)
	})
	if err == nil || !strings.Contains(err.Error(), "410 Gone") || pauses != 0 {
		t.Errorf("%v, %d pauses", err, pauses)
	}
	asked.Store(0)
	_, pauses, err = get(t, quiet, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			http.Error(w, "full", http.StatusInsufficientStorage)
			return
		}
		always(w, r)
	})
	if err == nil || !strings.Contains(err.Error(), "507 Insufficient Storage; it broke off") || pauses != mostResumes-1 {
		t.Errorf("%v, %d pauses: the last error is the reason", err, pauses)
	}
}

// limited takes one request, and then no more of them.
type limited struct {
	http.RoundTripper
	asked *atomic.Int32
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.asked.Add(1) > 1 {
		return nil, &rateLimit{host: r.URL.Host}
	}
	return l.RoundTripper.RoundTrip(r)
}

// TestResumeLimit: what has been waited for once is not asked for again.
func TestResumeLimit(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(&cutAfter{w, 1000}, r, "", time.Time{}, bytes.NewReader(noise(64<<10)))
	}))
	defer server.Close()
	var asked, pauses atomic.Int32
	client := http.Client{Transport: resuming{limited{http.DefaultTransport, &asked}, noPause(&pauses), quiet}}
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, err = io.ReadAll(answer.Body)
	var limit *rateLimit
	if !errors.As(err, &limit) || asked.Load() != 2 || pauses.Load() != 0 {
		t.Errorf("%v, %d requests, %d pauses", err, asked.Load(), pauses.Load())
	}
}

// TestResumeClosed: what is closed asks for nothing more.
func TestResumeClosed(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Length", "1000")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	var pauses atomic.Int32
	client := http.Client{Transport: resuming{http.DefaultTransport, noPause(&pauses), quiet}}
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { answer.Body.Close() })
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Error("a closed body ends without an error")
	}
	if asked.Load() != 1 {
		t.Errorf("%d requests", asked.Load())
	}
}
