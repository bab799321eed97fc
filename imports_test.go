package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "containers/rl"

// policy says who may import whom inside the module. A folder takes the row of its own name, or the nearest above it; a row's entry
// allows that folder and all below. Folders of the same row may import each other. A leaf imports none of
// the others: that is what keeps it usable, and testable, alone.
var policy = map[string][]string{
	"userns":              {},
	"storage":             {"storage/content", "storage/conformance"},
	"storage/content":     {},
	"storage/conformance": {},
	"storage/layers":      {"storage"},
	"storage/flat":        {"storage/content", "storage/conformance"},
	"storage/shared":      {"storage"},
	"netslirp":            {"netslirp/config"},
	"netslirp/config":     {},
	"cgroups":             {},
	"security":            {},
	"image":               {"storage", "userns"},
	"image/toolbox":       {},
	"container":           {"userns", "storage", "netslirp/config", "cgroups", "security"},
	"cli/flags":           {},
	"cli/self":            {},
	"cli/units":           {},
	"cli/start":           {"userns", "storage", "netslirp/config", "security", "container", "cli/flags", "cli/self"},
	"cli":                 {"cli/start", "cli/flags", "cli/self", "cli/units", "userns", "storage", "netslirp", "cgroups", "security", "image", "container"},
	".":                   {"cli", "container", "image", "userns"},
	"testdata":            {},
}

// topLevel are the files and folders of the root; another one is a decision to be made, and then written here.
var topLevel = []string{
	".ci", ".git", ".gitignore", "LICENSE", "README.md", "bench", "cgroups", "cli", "container", "deps.go", "docs", "go.mod", "go.sum", "image",
	"imports_test.go", "main.go", "main_test.go", "netslirp", "security", "staticcheck.conf", "storage", "testdata", "userns",
}

const (
	mostFileLines     = 500
	mostFunctionLines = 60
)

// source is one Go file of the module.
type source struct {
	path, dir string
	file      *ast.File
	set       *token.FileSet
}

func (s source) line(p token.Pos) int { return s.set.Position(p).Line }

func (s source) isTest() bool {
	return strings.HasSuffix(s.path, "_test.go") || strings.HasPrefix(s.path, "testdata/")
}

// generated files are read by nobody.
func (s source) isGenerated() bool { return ast.IsGenerated(s.file) }

func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || entry.IsDir() {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		found = append(found, source{path, filepath.Dir(path), file, set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// allowed finds the row for a folder; no row is an answer too.
func allowed(dir string) (row string, may []string, ok bool) {
	for row = dir; ; row = filepath.Dir(row) {
		if may, ok = policy[row]; ok || row == "." {
			return row, may, ok && (row != "." || dir == ".")
		}
	}
}

func within(dir, top string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		row, may, ok := allowed(s.dir)
		if !ok {
			t.Errorf("%s: the folder has no row in the import policy", s.path)
			continue
		}
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			target, ours := strings.CutPrefix(path, module+"/")
			targetRow, _, _ := allowed(target)
			if !ours || targetRow == row || s.isTest() && within(target, "testdata") {
				continue
			}
			if !slices.ContainsFunc(may, func(top string) bool { return within(target, top) }) {
				t.Errorf("%s:%d: %s may not import %s", s.path, s.line(imp.Pos()), s.dir, target)
			}
		}
	}
}

// TestPolicy is for the table itself: no circles, no row without a folder, no import of a folder that is not there.
func TestPolicy(t *testing.T) {
	for row, may := range policy {
		for _, top := range append(may, row) {
			if info, err := os.Stat(top); err != nil || !info.IsDir() {
				t.Errorf("policy of %s: %s is no folder", row, top)
			}
		}
		for _, top := range may {
			if slices.Contains(policy[top], row) {
				t.Errorf("policy: %s and %s may import each other", row, top)
			}
		}
	}
}

// startMayImport are all packages that package cli/start has below it, but for the module's own and those that the runtime brings along. What
// else it imported would be initialised before every container is begun, and with it all that is ready then and sorts before it; see its doc.go.
var startMayImport = []string{
	"bytes", "bufio", "cmp", "embed", "encoding", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "io", "io/fs", "iter",
	"maps", "math", "math/bits", "os", "os/signal", "path", "reflect", "runtime", "slices", "sort", "strconv", "strings", "sync", "sync/atomic",
	"syscall", "time", "unicode", "unicode/utf16", "unicode/utf8", "unsafe", "context",
	"github.com/opencontainers/runtime-spec/specs-go", "golang.org/x/sys/unix", "golang.org/x/term",
}

// TestStartImports keeps the start light.
func TestStartImports(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./cli/start")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, module+"/") || strings.HasPrefix(path, "internal/") || strings.HasPrefix(path, "runtime/") || slices.Contains(startMayImport, path) {
			continue
		}
		t.Errorf("cli/start imports %s, directly or not", path)
	}
}

// TestStartIsFirst: the module's path sorts before those that package start must not wait for.
func TestStartIsFirst(t *testing.T) {
	if start := module + "/cli/start"; start >= "context" || start >= "github.com" {
		t.Errorf("%s is initialised after the packages of others: see cli/start/doc.go", start)
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s: not one of the root's files and folders", e.Name())
		}
	}
}

// TestSize keeps files and functions such that each can be read in one go. Tables, as they are data, may be long.
func TestSize(t *testing.T) {
	for _, s := range sources(t) {
		if s.isGenerated() {
			continue
		}
		if lines := s.line(s.file.End()); lines > mostFileLines {
			t.Errorf("%s: %d lines, at most %d", s.path, lines, mostFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if lines := s.line(f.End()) - s.line(f.Pos()) + 1; lines > mostFunctionLines && !isTable(s, f) {
				t.Errorf("%s:%d: %s: %d lines, at most %d", s.path, s.line(f.Pos()), f.Name.Name, lines, mostFunctionLines)
			}
		}
	}
}

// isTable says whether a function is short but for one composite literal: a test's cases, mostly.
func isTable(s source, f *ast.FuncDecl) bool {
	lines := s.line(f.End()) - s.line(f.Pos()) + 1
	longest := 0
	ast.Inspect(f.Body, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		longest = max(longest, s.line(lit.End())-s.line(lit.Pos()))
		return false
	})
	return lines-longest <= mostFunctionLines
}

// TestNoInit: work before main is paid by every command, and its order is nobody's choice.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !s.isTest() {
				t.Errorf("%s:%d: func init", s.path, s.line(f.Pos()))
			}
		}
	}
}
