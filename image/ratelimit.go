package image

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	mostPatience = 15 * time.Second // to wait for a registry that asks for it; longer is an error that says how long
	mostWaits    = 3
)

// patient waits for a registry that has enough of requests for a moment
// (status 429, RFC 6585), and explains when it has for longer.
type patient struct {
	http.RoundTripper
	pause func(context.Context, time.Duration) error
}

func (t patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for tries := 1; ; tries++ {
		answer, err := t.RoundTripper.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests {
			return answer, err
		}
		limit := readLimit(r.URL.Host, answer.Header, time.Now())
		answer.Body.Close()
		wait := limit.wait
		if wait == 0 {
			wait = time.Second << (tries - 1)
		}
		// A body that was sent cannot be sent again but by what made it.
		if tries > mostWaits || wait > mostPatience || r.Body != nil && r.GetBody == nil {
			return nil, limit
		}
		if err := t.pause(r.Context(), wait); err != nil {
			return nil, err
		}
		if r.GetBody != nil {
			again := r.Clone(r.Context())
			if again.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
			r = again
		}
	}
}

// rateLimit is the error of a registry that takes no more requests.
type rateLimit struct {
	host   string
	until  time.Time     // zero: it did not say
	wait   time.Duration // to then
	pulls  string        // how many it takes in a window: "100"; "" when it did not say
	window time.Duration
}

// readLimit understands Retry-After (RFC 9110: seconds or a date; the hub's:
// seconds since 1970), X-RateLimit-Reset and RateLimit-Reset of other
// registries, and the hub's RateLimit-Limit: 100;w=21600.
func readLimit(host string, h http.Header, now time.Time) *rateLimit {
	limit := &rateLimit{host: host}
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset", "X-Retry-After", "RateLimit-Reset"} {
		if at, ok := readTime(h.Get(name), now); ok {
			limit.until, limit.wait = at, max(at.Sub(now), 0)
			break
		}
	}
	pulls, rest, _ := strings.Cut(h.Get("RateLimit-Limit"), ";")
	if n, err := strconv.Atoi(pulls); err == nil && n > 0 {
		limit.pulls = pulls
		if seconds, err := strconv.Atoi(strings.TrimPrefix(rest, "w=")); err == nil && seconds > 0 {
			limit.window = time.Duration(seconds) * time.Second
		}
	}
	return limit
}

// readTime reads seconds, or the seconds since 1970, or a date.
func readTime(text string, now time.Time) (time.Time, bool) {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil && n >= 0 {
		const since1970 = 1 << 30 // as a number of seconds to wait it would be 34 years
		if n > since1970 {
			return time.Unix(n, 0), true
		}
		return now.Add(time.Duration(n) * time.Second), true
	}
	at, err := http.ParseTime(text)
	return at, err == nil
}

func (l *rateLimit) Error() string {
	text := fmt.Sprintf("toomanyrequests: %s takes no more requests (status 429)", l.host)
	if l.pulls != "" {
		text += ", its limit is " + l.pulls
		if l.window > 0 {
			text += " in " + shortly(l.window)
		}
	}
	if !l.until.IsZero() {
		text += fmt.Sprintf(": again at %s, in %s", l.until.Format("2006-01-02 15:04:05 MST"), shortly(l.wait))
	}
	return text + "; those who are logged in may have more: rl login " + l.host
}

// shortly is a duration without its zeros: 6h, not 6h0m0s.
func shortly(d time.Duration) string {
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
