package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	mostResumes = 5                      // without a byte in between
	firstPause  = 500 * time.Millisecond // before the second resumption; then twice as long each time
	quiet       = 20 * time.Second       // without a byte: the connection is taken for dead, and the transfer goes on over another
)

// resuming goes on with a body whose transfer broke off, at the byte where it
// did (RFC 9110, section 14: Range). Who reads it hashes it, so that a registry
// which has something else there by now is found out.
type resuming struct {
	http.RoundTripper
	pause func(context.Context, time.Duration) error
	quiet time.Duration
}

func (t resuming) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || answer.StatusCode != http.StatusOK || answer.Uncompressed ||
		r.Header.Get("Range") != "" || strings.EqualFold(answer.Header.Get("Accept-Ranges"), "none") {
		return answer, err
	}
	answer.Body = newResumable(t, r, answer.Body)
	return answer, nil
}

// resumable is such a body. Read and Close may be called side by side.
type resumable struct {
	t       resuming
	request *http.Request
	timer   *time.Timer

	mu     sync.Mutex // of what follows
	body   io.ReadCloser
	closed bool

	at    int64 // bytes that were read
	again int64 // of the body, that were read before: of a server without ranges, which begins anew
	tries int   // since the last new byte
}

func newResumable(t resuming, r *http.Request, body io.ReadCloser) *resumable {
	b := &resumable{t: t, request: r, body: body}
	b.timer = time.AfterFunc(t.quiet, b.cut)
	return b
}

// cut ends a connection that says nothing, and with it the Read that waits.
func (b *resumable) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.body.Close()
}

func (b *resumable) Close() error {
	b.timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.body.Close()
}

func (b *resumable) current() (body io.ReadCloser, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body, b.closed
}

func (b *resumable) Read(p []byte) (int, error) {
	for {
		body, _ := b.current()
		b.timer.Reset(b.t.quiet)
		n, err := body.Read(p)
		b.timer.Stop() // who reads may take its time
		n = b.fresh(p[:n])
		b.at += int64(n)
		if n > 0 {
			b.tries = 0
			if !errors.Is(err, io.EOF) {
				err = nil // it comes again
			}
		}
		switch {
		case errors.Is(err, io.EOF) && b.again > 0:
			err = io.ErrUnexpectedEOF
		case err == nil && n == 0 && len(p) > 0:
			continue
		case err == nil, errors.Is(err, io.EOF):
			return n, err
		}
		if err := b.resume(err); err != nil {
			return 0, err
		}
	}
}

// fresh leaves out what comes again, and gives how many bytes remain.
func (b *resumable) fresh(p []byte) int {
	known := min(b.again, int64(len(p)))
	b.again -= known
	return copy(p, p[known:])
}

// resume puts another body in the place of the one that failed, or says why it
// cannot: broke, where the server gave no other reason.
func (b *resumable) resume(broke error) error {
	ctx := b.request.Context()
	last := broke
	for ; b.tries < mostResumes; b.tries++ {
		if _, closed := b.current(); closed || ctx.Err() != nil {
			return broke
		}
		if b.tries > 0 && b.t.pause(ctx, firstPause<<(b.tries-1)) != nil {
			return broke
		}
		body, from, err := b.open(ctx)
		if err == nil {
			b.tries++
			b.again = b.at - from
			return b.replace(body, broke)
		}
		if last = err; !mayPass(err) {
			return fmt.Errorf("%w; going on at byte %d: %w", broke, b.at, err)
		}
	}
	return fmt.Errorf("%w; it broke off %d times at byte %d", last, mostResumes, b.at)
}

func (b *resumable) replace(body io.ReadCloser, broke error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		body.Close()
		return broke
	}
	b.body.Close()
	b.body = body
	return nil
}

// open asks for the rest. What it gives begins at from: here, or anew.
func (b *resumable) open(ctx context.Context) (body io.ReadCloser, from int64, err error) {
	r := b.request.Clone(ctx)
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.at))
	answer, err := b.t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case answer.StatusCode == http.StatusPartialContent && strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.at)):
		return answer.Body, b.at, nil
	case answer.StatusCode == http.StatusOK:
		return answer.Body, 0, nil
	}
	answer.Body.Close()
	return nil, 0, refused{answer.StatusCode, answer.Status}
}

// refused is the error of a server that answers with another status.
type refused struct {
	code int
	text string
}

func (r refused) Error() string { return r.text }

// mayPass: another try may help. A limit of requests has been waited for already.
func mayPass(err error) bool {
	var limit *rateLimit
	var status refused
	return !errors.As(err, &limit) && (!errors.As(err, &status) || status.code >= http.StatusInternalServerError)
}

// sleep is time.Sleep that ends with the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
