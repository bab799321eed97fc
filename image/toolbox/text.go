package toolbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

func echo(std stdio, args []string) error {
	end := "\n"
	if len(args) > 0 && args[0] == "-n" {
		args, end = args[1:], ""
	}
	_, err := io.WriteString(std.out, strings.Join(args, " ")+end)
	return err
}

func basename(std stdio, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return usageError("basename NAME [SUFFIX]")
	}
	base := path.Base(args[0])
	if len(args) == 2 && base != args[1] {
		base = strings.TrimSuffix(base, args[1])
	}
	_, err := fmt.Fprintln(std.out, base)
	return err
}

func dirname(std stdio, args []string) error {
	if len(args) != 1 {
		return usageError("dirname NAME")
	}
	name := strings.TrimRight(args[0], "/")
	if name == "" && args[0] != "" {
		name = "/"
	}
	_, err := fmt.Fprintln(std.out, path.Dir(name))
	return err
}

// inputs calls each with the files named, or standard input.
func inputs(std stdio, names []string, each func(name string, r io.Reader) error) error {
	if len(names) == 0 {
		return each("", std.in)
	}
	var failed []error
	for _, name := range names {
		if name == "-" {
			failed = append(failed, each("-", std.in))
			continue
		}
		file, err := os.Open(name)
		if err == nil {
			err = each(name, file)
			file.Close()
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// count reads -n NUMBER, -nNUMBER, -c NUMBER or -NUMBER.
func count(args []string) (n int, bytes bool, rest []string, err error) {
	n = 10
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word[0] == 'n' || word[0] == 'c' {
			bytes = word[0] == 'c'
			if word = word[1:]; word == "" && len(args) > 0 {
				word, args = args[0], args[1:]
			}
		}
		if n, err = strconv.Atoi(word); err != nil || n < 0 {
			return 0, false, nil, usageError("[-n LINES | -c BYTES] [FILE...]")
		}
	}
	return n, bytes, args, nil
}

func head(std stdio, args []string) error {
	n, bytes, names, err := count(args)
	if err != nil {
		return err
	}
	return inputs(std, names, func(_ string, r io.Reader) error {
		if bytes {
			_, err := io.CopyN(std.out, r, int64(n))
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
		lines := bufio.NewReader(r)
		for range n {
			line, err := lines.ReadString('\n')
			if _, werr := io.WriteString(std.out, line); werr != nil || errors.Is(err, io.EOF) {
				return werr
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

func tail(std stdio, args []string) error {
	n, bytes, names, err := count(args)
	if err != nil {
		return err
	}
	return inputs(std, names, func(_ string, r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		from := max(0, len(text)-n)
		if !bytes {
			from = len(text)
			for seen := 0; from > 0; from-- {
				if text[from-1] == '\n' && from < len(text) {
					if seen++; seen == n {
						break
					}
				}
			}
			if n == 0 {
				from = len(text)
			}
		}
		_, err = std.out.Write(text[from:])
		return err
	})
}

func tee(std stdio, args []string) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if len(args) > 0 && args[0] == "-a" {
		args, flags = args[1:], os.O_WRONLY|os.O_CREATE|os.O_APPEND
	}
	outs := []io.Writer{std.out}
	for _, name := range args {
		file, err := os.OpenFile(name, flags, 0o666)
		if err != nil {
			return err
		}
		defer file.Close()
		outs = append(outs, file)
	}
	_, err := io.Copy(io.MultiWriter(outs...), std.in)
	return err
}

func seq(std stdio, args []string) error {
	first, step, last := 1, 1, 0
	places := [][]*int{{&last}, {&first, &last}, {&first, &step, &last}}
	if len(args) < 1 || len(args) > 3 {
		return usageError("seq [FIRST [STEP]] LAST")
	}
	for i, to := range places[len(args)-1] {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			return usageError("seq [FIRST [STEP]] LAST, whole numbers")
		}
		*to = n
	}
	out := bufio.NewWriter(std.out)
	for i := first; step != 0 && (step > 0 && i <= last || step < 0 && i >= last); i += step {
		if _, err := fmt.Fprintln(out, i); err != nil {
			return err
		}
	}
	return out.Flush()
}

func wc(std stdio, args []string) error {
	show := ""
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		show, args = show+args[0][1:], args[1:]
	}
	if show == "" {
		show = "lwc"
	}
	return inputs(std, args, func(name string, r io.Reader) error {
		lines, words, bytes, err := measure(r)
		if err != nil {
			return err
		}
		var fields []string
		for _, f := range []struct {
			flag string
			n    int
		}{{"l", lines}, {"w", words}, {"c", bytes}} {
			if strings.Contains(show, f.flag) {
				fields = append(fields, strconv.Itoa(f.n))
			}
		}
		_, err = fmt.Fprintln(std.out, strings.TrimRight(strings.Join(fields, " ")+" "+name, " "))
		return err
	})
}

func measure(r io.Reader) (lines, words, bytes int, err error) {
	buf, inWord := make([]byte, 64<<10), false
	for {
		n, err := r.Read(buf)
		bytes += n
		for _, c := range buf[:n] {
			space := c == ' ' || c >= '\t' && c <= '\r'
			if c == '\n' {
				lines++
			}
			if !space && !inWord {
				words++
			}
			inWord = !space
		}
		if errors.Is(err, io.EOF) {
			return lines, words, bytes, nil
		}
		if err != nil {
			return 0, 0, 0, err
		}
	}
}
