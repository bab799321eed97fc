package cli

import (
	"strings"
	"testing"
)

func TestYAML(t *testing.T) {
	v := map[string]any{"b": []any{}, "a": map[string]any{"list": []any{map[string]any{"x": 1, "z": "two words"}, "3"}, "none": nil}, "c": map[string]any{}, "d": true, "e": "", "f": "a:b", "g": "a: b", "h": "no", "i": 2.5, "j": "x\ny"}
	const want = "a:\n  list:\n  - x: 1\n    z: two words\n  - \"3\"\n  none: null\nb: []\nc: {}\nd: true\ne: \"\"\nf: a:b\ng: \"a: b\"\nh: \"no\"\ni: 2.5\nj: \"x\\ny\"\n"
	var b strings.Builder
	if err := printYAML(&b, v); err != nil || b.String() != want {
		t.Errorf("%s\n%v", b.String(), err)
	}
}
