package userns

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a child runs in our memory calls nothing of Go's runtime, not even the collector's write barrier: it is no thread that the runtime
// knows. The compiler's listing says so.
func TestChildCallsNoRuntime(t *testing.T) {
	cmd := exec.Command("go", "build", "-gcflags=-S", ".")
	var listing strings.Builder
	cmd.Stderr = &listing
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, listing.String())
	}
	function := regexp.MustCompile(`^\S+/userns\.(\w+) STEXT`)
	call := regexp.MustCompile(`\s(CALL|JMP)\s+(runtime\.\S+)`)
	ours := []string{"interpret", "await", "argument", "result", "decide", "pseudo", "tell", "clone", "fork"}
	var seen []string
	in := ""
	for line := range strings.Lines(listing.String()) {
		if !strings.HasPrefix(line, "\t") {
			in = ""
		}
		if m := function.FindStringSubmatch(line); m != nil && slices.Contains(ours, m[1]) {
			in = m[1]
			seen = append(seen, in)
		}
		if m := call.FindStringSubmatch(line); m != nil && in != "" {
			t.Errorf("%s calls %s: %s", in, m[2], strings.TrimSpace(line))
		}
	}
	if !slices.Contains(seen, "interpret") || !slices.Contains(seen, "fork") {
		t.Errorf("the listing has %v, want interpret and fork", seen)
	}
}
