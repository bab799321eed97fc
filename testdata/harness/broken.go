package harness

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// broken KIND puts a registry with a defect in front of the test registry, as docker.io of this script:
//
//	refuse    nobody listens
//	silent    accepts and never answers
//	auth      wants a user (rl, password secret) by basic authentication
//	truncate  ends a layer's body half way
//	corrupt   changes one byte in each layer
//	long      goes on after a layer's end, by more bytes than the manifest says
//	error     500 for each layer
//	cut       breaks the connection in the middle of a layer, each of the first two times it is asked for
//	busy      has enough of requests (429) for a second, now and then
//	limit     takes no more requests (429) for two hours
//	none      the good registry again
func (w World) broken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: broken KIND")
	}
	addr := w.Registry
	switch args[0] {
	case "none":
	case "refuse", "silent":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		addr = l.Addr().String()
		// Nobody accepts, but the kernel does: that is silence.
		if args[0] == "silent" {
			ts.Defer(func() { l.Close() })
		} else {
			l.Close()
		}
	default:
		defect, ok := defects[args[0]]
		if !ok {
			ts.Fatalf("broken: unknown kind %q", args[0])
		}
		server := httptest.NewServer(defect(w.proxy()))
		ts.Defer(server.Close)
		addr = server.Listener.Addr().String()
	}
	ts.Setenv("BROKEN", addr)
	ts.Check(os.WriteFile(registriesFile(ts), []byte(Registries(addr)), 0o644))
}

func (w World) proxy() http.Handler {
	return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: w.Registry})
}

// defects make a bad registry of a good one.
var defects = map[string]func(http.Handler) http.Handler{
	"auth":     wantUser,
	"truncate": onLayers(func(b []byte) []byte { return b[:len(b)/2] }),
	"corrupt":  onLayers(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }),
	"long":     onLayers(func(b []byte) []byte { return append(b, "more"...) }),
	"error":    refuseLayers,
	"cut":      cutLayers,
	"busy":     limitRate("1", func(n int32) bool { return n%4 == 1 }),
	"limit":    limitRate("7200", func(int32) bool { return true }),
}

func wantUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user == "rl" && password == "secret" {
			next.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
		http.Error(rw, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	})
}

// big is more than any configuration here has, and less than any layer.
const big = 100 << 10

func isBlob(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
}

// onLayers changes the bytes of layers, and no header but the connection's end.
func onLayers(change func([]byte) []byte) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !isBlob(r) {
				next.ServeHTTP(rw, r)
				return
			}
			body, status := fetch(next, r)
			if len(body) > big {
				body = change(body)
			}
			// Chunked, so that the length alone does not give it away.
			rw.WriteHeader(status)
			rw.(http.Flusher).Flush()
			io.Copy(rw, bytes.NewReader(body))
		})
	}
}

func refuseLayers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !isBlob(r) {
			next.ServeHTTP(rw, r)
			return
		}
		if body, status := fetch(next, r); len(body) <= big {
			rw.WriteHeader(status)
			_, _ = rw.Write(body)
			return
		}
		time.Sleep(10 * time.Millisecond)
		http.Error(rw, "out of order", http.StatusInternalServerError)
	})
}

func fetch(next http.Handler, r *http.Request) ([]byte, int) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	return rec.Body.Bytes(), rec.Code
}

// cutLayers knows ranges, as registries do.
func cutLayers(next http.Handler) http.Handler {
	var mu sync.Mutex
	asked := map[string]int{}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !isBlob(r) {
			next.ServeHTTP(rw, r)
			return
		}
		plain := r.Clone(r.Context())
		plain.Header.Del("Range")
		body, _ := fetch(next, plain)
		mu.Lock()
		asked[r.URL.Path]++
		left := len(body)
		if asked[r.URL.Path] < 3 && len(body) > big {
			left /= 3
		}
		mu.Unlock()
		http.ServeContent(&shortWriter{rw, left}, r, "", time.Time{}, bytes.NewReader(body))
	})
}

// shortWriter breaks the connection when it has sent what is left.
type shortWriter struct {
	http.ResponseWriter
	left int
}

func (w *shortWriter) Write(b []byte) (int, error) {
	if len(b) <= w.left {
		w.left -= len(b)
		return w.ResponseWriter.Write(b)
	}
	_, _ = w.ResponseWriter.Write(b[:w.left])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// limitRate refuses the requests that refused says, by their number.
func limitRate(after string, refused func(int32) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var n atomic.Int32
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" && refused(n.Add(1)) {
				rw.Header().Set("Retry-After", after)
				rw.Header().Set("RateLimit-Limit", "100;w=21600")
				http.Error(rw, `{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}`, http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(rw, r)
		})
	}
}
