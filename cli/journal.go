package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"containers/rl/container"
)

// journalDelay is how late a line of the journal may be seen, and how long the
// last ones are waited for: journald answers nobody when it has stored them.
const journalDelay = 200 * time.Millisecond

// readJournal reads a container's log from the journal by journalctl(1).
func readJournal(info *container.Info, q container.LogQuery, each func(container.Line) error) error {
	if _, err := exec.LookPath("journalctl"); err != nil {
		return fmt.Errorf("reading the log of container %s: it is in the journal, and journalctl, which reads it, is not installed: sudo apt install systemd", info.Name())
	}
	if q.Ready != nil {
		q.Ready()
	}
	cursor, quiet := "", 0
	for {
		ended := !info.Running()
		if !ended {
			ended, _, _ = ifEnded(info)
		}
		count, err := journalLines(info, q, &cursor, each)
		switch {
		case err != nil:
			return err
		case !q.Follow, !q.Until.IsZero() && time.Now().After(q.Until):
			return nil
		case count > 0:
			quiet = 0
		case ended:
			if quiet++; quiet > 1 {
				return nil
			}
		}
		q.Tail = -1
		time.Sleep(journalDelay)
	}
}

func ifEnded(info *container.Info) (bool, container.Ended, error) {
	ended, over, err := info.Wait(0)
	return over || err != nil, ended, err
}

// journalEntry is a line of `journalctl -o json`. A message that is not UTF-8
// is a list of bytes there.
type journalEntry struct {
	Cursor   string          `json:"__CURSOR"`
	Time     string          `json:"__REALTIME_TIMESTAMP"` // microseconds
	Priority string          `json:"PRIORITY"`
	Partial  string          `json:"CONTAINER_PARTIAL_MESSAGE"`
	Message  json.RawMessage `json:"MESSAGE"`
}

// journalLines gives what is there after the cursor.
func journalLines(info *container.Info, q container.LogQuery, cursor *string, each func(container.Line) error) (count int, err error) {
	args := []string{"--no-pager", "--quiet", "--all", "--output=json", container.JournalID + "=" + info.ID}
	if *cursor != "" {
		args = append(args, "--after-cursor="+*cursor)
	}
	if q.Tail >= 0 {
		args = append(args, "--lines="+strconv.Itoa(q.Tail))
	}
	cmd := exec.Command("journalctl", args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return 0, fmt.Errorf("starting journalctl: %w", err)
	}
	lines := bufio.NewReader(out)
	var failed error
	for failed == nil {
		text, end := lines.ReadBytes('\n')
		if end != nil {
			break
		}
		line, at, ok := parseEntry(text)
		if !ok {
			continue
		}
		count, *cursor = count+1, at
		if !line.Time.Before(q.Since) && (q.Until.IsZero() || !line.Time.After(q.Until)) {
			failed = each(line)
		}
	}
	if failed != nil {
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); err != nil && failed == nil {
		failed = fmt.Errorf("reading the log of container %s: journalctl: %w: %s", info.Name(), err, strings.TrimSpace(said.String()))
	}
	return count, failed
}

func parseEntry(text []byte) (line container.Line, cursor string, ok bool) {
	var e journalEntry
	if json.Unmarshal(text, &e) != nil {
		return line, "", false
	}
	micros, err := strconv.ParseInt(e.Time, 10, 64)
	if err != nil {
		return line, "", false
	}
	line = container.Line{Time: time.UnixMicro(micros), Stream: "stdout", Ended: e.Partial != "true"}
	if e.Priority == "3" {
		line.Stream = "stderr"
	}
	var message string
	var raw []int
	if json.Unmarshal(e.Message, &message) == nil {
		line.Text = []byte(message)
	} else if json.Unmarshal(e.Message, &raw) == nil {
		for _, c := range raw {
			line.Text = append(line.Text, byte(c))
		}
	}
	return line, e.Cursor, true
}
