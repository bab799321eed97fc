package cli

import (
	"strings"
	"testing"
	"time"

	"containers/rl/container"
)

func TestTopNames(t *testing.T) {
	for words, want := range map[string]string{
		"":                    "USER PID PPID %CPU ELAPSED TTY TIME COMMAND",
		"pid user":            "PID USER",
		"pid,user args":       "PID USER COMMAND",
		"hpid,%C,%a":          "HPID %CPU COMMAND",
		"-ef":                 "UID PID PPID C STIME TTY TIME CMD",
		"aux":                 "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
		"ax":                  "PID TTY STAT TIME COMMAND",
		"-e":                  "PID TTY TIME CMD",
		"-eo pid,comm":        "PID COMMAND",
		"-opid -o ppid=MA":    "PID MA",
		"--format=pid,cmd -e": "PID CMD",
		"--format pid":        "PID",
	} {
		columns, err := topNames(strings.Fields(words))
		var heads []string
		for _, c := range columns {
			heads = append(heads, c.head)
		}
		if got := strings.Join(heads, " "); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", words, got, err, want)
		}
	}
	for _, words := range []string{"nonsense", "pid,nonsense", "-o", "-o nonsense", "-eZ", "--nonsense", "-u"} {
		if columns, err := topNames(strings.Fields(words)); err == nil {
			t.Errorf("%q: %d columns, want an error", words, len(columns))
		}
	}
}

func TestClockTime(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		5 * time.Second:               {"00:00:05", "00:05"},
		2*time.Hour + time.Minute:     {"02:01:00", "02:01:00"},
		50*time.Hour + 61*time.Second: {"2-02:01:01", "2-02:01:01"},
	} {
		if got := [2]string{clockTime(d, true), clockTime(d, false)}; got != want {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
}

func TestCapabilityNames(t *testing.T) {
	for mask, want := range map[uint64]string{0: "none", ^uint64(0): "full", 1<<7 | 1: "CHOWN,SETUID", 1<<5 | 1<<1: "DAC_OVERRIDE,KILL"} {
		r := topRow{Proc: container.Proc{Caps: map[string]uint64{"CapEff": mask}}}
		if got := r.caps("CapEff"); got != want {
			t.Errorf("%x: %s, want %s", mask, got, want)
		}
	}
}

func TestStatsPairs(t *testing.T) {
	for _, c := range []struct {
		a, b            uint64
		decimal, binary string
	}{
		{0, 0, "-- / --", "-- / --"},
		{999, 1024, "999B / 1.024kB", "999B / 1KiB"},
		{3092000, 16700000000, "3.092MB / 16.7GB", "2.949MiB / 15.55GiB"},
	} {
		if d, b := decimalPair(c.a, c.b), binaryPair(c.a, c.b); d != c.decimal || b != c.binary {
			t.Errorf("%d, %d: %s, %s; want %s, %s", c.a, c.b, d, b, c.decimal, c.binary)
		}
	}
}
