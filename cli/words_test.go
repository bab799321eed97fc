package cli

import (
	"slices"
	"testing"
)

func TestShellWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                    nil,
		" \t\n":               nil,
		"a  b\tc":             {"a", "b", "c"},
		`'a  b' "c  d"`:       {"a  b", "c  d"},
		`a'b'"c"\ d`:          {"abc d"},
		`'' ""`:               {"", ""},
		`'\' "\"" "\\" "\n"`:  {`\`, `"`, `\`, `\n`},
		`"\$A" \$A '$A' "'"`:  {"$A", "$A", "$A", "'"},
		`a\b "a\` + "`" + `"`: {"ab", "a`"},
	} {
		words, err := shellWords(line)
		if err != nil || !slices.Equal(words, want) {
			t.Errorf("%q: %q, %v, want %q", line, words, err, want)
		}
	}
	for _, line := range []string{`'a`, `"a`, `a\`, `"a\"`} {
		if words, err := shellWords(line); err == nil {
			t.Errorf("%q: %q, want an error", line, words)
		}
	}
}

func TestLabelVariables(t *testing.T) {
	l := labelRun{image: "quay.io/a/b:1", name: "n", options: [3]string{"x y", "", "z"}}
	for word, want := range map[string]string{
		"IMAGE": "quay.io/a/b:1", "$IMAGE": "quay.io/a/b:1", "${IMAGE}": "quay.io/a/b:1", "IMAGE=IMAGE": "IMAGE=quay.io/a/b:1", "--from=$IMAGE": "--from=quay.io/a/b:1",
		"NAME": "n", "--name=NAME": "--name=n", "/var/lib/${NAME}/d": "/var/lib/n/d", "MYNAME": "MYNAME", "NAMES": "NAMES", "$NAMES": "$NAMES",
		"${OPT1}": "x y", "$OPT2": "", "a$OPT3": "az", "$GLOBAL_OPTS": "", "$HOME/$1": "$HOME/$1", "$": "$", "${": "${", "$$": "$$",
	} {
		if got := l.expand(word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestBaseName(t *testing.T) {
	for ref, want := range map[string]string{"a": "a", "localhost:5000/a/b": "b", "a/b:tag": "b", "h:1/b@sha256:00": "b", "b:1@sha256:00": "b"} {
		if got := baseName(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}
