package container

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// start finds the place from which so many lines follow; negative: all.
func (f *logFiles) start(lines int) error {
	if lines < 0 {
		return f.oldest()
	}
	file, err := openLocked(f.base)
	if err != nil {
		return err
	}
	f.enter(file)
	found, err := seekTail(file, lines, true)
	for n := 1; err == nil && found < lines && f.rotated; n++ {
		older, missing := openLocked(logName(f.base, n))
		if missing != nil {
			break
		}
		f.enter(older)
		var more int
		more, err = seekTail(older, lines-found, false)
		found += more
	}
	return err
}

// seekTail finds the place from which so many lines follow, or the beginning,
// and says how many do. It reads backwards: a log can be large. A line without
// an end counts when it is the last of all.
func seekTail(file *os.File, lines int, newest bool) (found int, err error) {
	start, err := file.Seek(0, io.SeekEnd)
	if err != nil || lines == 0 {
		return 0, err
	}
	var parser lineParser
	end := start         // of the line that is looked for next
	var beginning []byte // what was read of that line
	for start > 0 {
		size := min(start, 4*carrySize)
		text := make([]byte, size, size+int64(len(beginning)))
		if _, err := file.ReadAt(text, start-size); err != nil && !errors.Is(err, io.EOF) {
			return found, err
		}
		start -= size
		text = append(text, beginning...)
		for len(text) > 0 {
			begin := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
			if begin == 0 && start > 0 {
				break
			}
			if line, ok := parser.parse(text[begin:]); ok && (line.Ended || newest) {
				if found == lines {
					_, err = file.Seek(end, io.SeekStart)
					return found, err
				}
				found++
			}
			newest = false
			text, end = text[:begin], start+int64(begin)
		}
		beginning = text
	}
	_, err = file.Seek(0, io.SeekStart)
	return found, err
}
