package storage

import (
	"reflect"
	"testing"
	"time"
)

func TestEntry(t *testing.T) {
	want := Image{ID: "abc", Digest: "sha256:def", Layers: []string{"/a b", "/c\n:\"\\"}, Size: 7, Created: time.Unix(1, 2).UTC(),
		Settings: Settings{User: "u:g", Env: []string{"A=1", "B=\x00\xff\n\n"}, Entrypoint: []string{""}, Cmd: []string{"sh", "-c", "x\n"}, WorkingDir: "/w", Labels: []string{"a=b"}},
		Config:   []byte("{\n\n\"os\": \"linux\"}")}
	var got Image
	if err := got.decode(string(want.encode())); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var none Image
	if err := none.decode(string((&Image{ID: "x"}).encode())); err != nil || !none.Created.IsZero() || none.ID != "x" {
		t.Errorf("%+v, %v", none, err)
	}
	for _, bad := range []string{"", "{}", "id x", "size 1\n\n", "id x\nsize y\n\n", "id x\nlayer unquoted\n\n", "id x\ncreated -\n\n"} {
		if err := new(Image).decode(bad); err == nil {
			t.Errorf("%q is taken for an entry", bad)
		}
	}
	if err := new(Image).decode("id x\nlater \"known\"\n\n"); err != nil {
		t.Errorf("a line of a later version: %v", err)
	}
}
