// Command count reads the output of `go test -json` (or of test2json) and appends one result line for each test to a file: PASS,
// FAIL or SKIP, a tab, package and test, a tab, the reason. A package that fails without a failed test, or does not build, is a failure too.
//
// Only the innermost tests are counted: a test with subtests is no test of its own, unless it failed and none of them did.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, ImportPath, Test, Output string
}

// result is what is known of a test or package.
type result struct {
	action string
	output []string
	parent bool
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("count: ")
	file := flag.String("o", "", "file to append the results to")
	prefix := flag.String("prefix", "", "put before each name")
	flag.Parse()
	results, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	out, err := os.OpenFile(*file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	write(out, *prefix, results)
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
}

// read collects the events by test; a package's own events have the package's name alone.
func read(r io.Reader) (map[string]*result, error) {
	results := make(map[string]*result)
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			add(results, line)
		}
		if err == io.EOF {
			return results, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func add(results map[string]*result, line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		// Whatever a test binary prints before it speaks JSON: shown, as it may explain a failure.
		fmt.Printf("%s", line)
		return
	}
	key := e.Package
	if key == "" {
		key, _, _ = strings.Cut(e.ImportPath, " ")
	}
	if e.Test != "" {
		key += "." + e.Test
		markParents(results, e.Package, e.Test)
	}
	r := get(results, key)
	switch e.Action {
	case "output", "build-output":
		r.output = append(r.output, e.Output)
	case "pass", "fail", "skip", "build-fail":
		r.action = e.Action
	case "run", "start":
		r.action = "unfinished"
	}
}

func get(results map[string]*result, key string) *result {
	if results[key] == nil {
		results[key] = &result{}
	}
	return results[key]
}

func markParents(results map[string]*result, pkg, test string) {
	get(results, pkg).parent = true
	for i := strings.LastIndexByte(test, '/'); i > 0; i = strings.LastIndexByte(test, '/') {
		test = test[:i]
		get(results, pkg+"."+test).parent = true
	}
}

func write(out io.Writer, prefix string, results map[string]*result) {
	names := make([]string, 0, len(results))
	for name := range results {
		names = append(names, name)
	}
	sort.Strings(names)
	var failed []string
	for _, name := range names {
		r := results[name]
		switch r.action {
		case "fail", "build-fail", "unfinished":
			failed = append(failed, name)
		case "skip":
			// A package without tests is no test.
			if !r.parent && isTest(name) {
				fmt.Fprintf(out, "SKIP\t%s%s\t%s\n", prefix, name, reason(r))
			}
		case "pass":
			if !r.parent && isTest(name) {
				fmt.Fprintf(out, "PASS\t%s%s\t\n", prefix, name)
			}
		}
	}
	writeFailed(out, prefix, results, failed)
}

// writeFailed leaves out parents whose children tell what failed.
func writeFailed(out io.Writer, prefix string, results map[string]*result, failed []string) {
	for i, name := range failed {
		r := results[name]
		if r.parent && i+1 < len(failed) && isInside(failed[i+1], name) {
			continue
		}
		fmt.Fprintf(out, "FAIL\t%s%s\t%s\n", prefix, name, r.action)
		fmt.Printf("FAIL %s%s\n    %s", prefix, name, strings.ReplaceAll(tail(r), "\n", "\n    "))
		fmt.Println()
	}
}

// isInside says whether name is a subtest of the test, or a test of the package, that parent names.
func isInside(name, parent string) bool {
	if isTest(parent) {
		return strings.HasPrefix(name, parent+"/")
	}
	return strings.HasPrefix(name, parent+".")
}

func isTest(name string) bool {
	return strings.Contains(name, ".Test") || strings.Contains(name, ".Fuzz") || strings.Contains(name, ".Example")
}

// reason is the last line of a skipped test's output which is not the go tool's own.
func reason(r *result) string {
	for i := len(r.output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(r.output[i])
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return strings.ReplaceAll(line, "\t", " ")
		}
	}
	return "no reason given"
}

// tail is the end of the output, where the failure is told.
func tail(r *result) string {
	const most = 60
	return strings.Join(r.output[max(0, len(r.output)-most):], "")
}
