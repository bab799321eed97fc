package storage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An entry of the index is text: a line for each value, strings quoted as in
// Go, then an empty line and the OCI configuration as it came. JSON would be
// the obvious form; reading it took longer than the rest of a lookup.
//
//	id 9f86d081...
//	digest "sha256:60303ae2..."
//	size 4521984
//	created 1700000000000000000
//	layer "/home/u/.local/share/rl/storage/overlay/l/ABC"
//	env "PATH=/bin"
//	cmd "sh"
//
//	{"architecture":"amd64", ...

// errEntry says that an entry is not of this form.
var errEntry = errors.New("not an entry of the image index")

func (img *Image) encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "id %s\ndigest %q\nsize %d\ncreated %d\n", img.ID, img.Digest, img.Size, unixNano(img.Created))
	for _, list := range img.lists() {
		for _, value := range *list.values {
			fmt.Fprintf(&b, "%s %q\n", list.key, value)
		}
	}
	for _, text := range img.texts() {
		if *text.value != "" {
			fmt.Fprintf(&b, "%s %q\n", text.key, *text.value)
		}
	}
	fmt.Fprintf(&b, "\n%s", img.Config)
	return []byte(b.String())
}

type listField struct {
	key    string
	values *[]string
}

func (img *Image) lists() [6]listField {
	s := &img.Settings
	return [...]listField{{"layer", &img.Layers}, {"env", &s.Env}, {"entrypoint", &s.Entrypoint}, {"cmd", &s.Cmd}, {"label", &s.Labels}, {"volume", &s.Volumes}}
}

type textField struct {
	key   string
	value *string
}

func (img *Image) texts() [4]textField {
	return [...]textField{{"digest", &img.Digest}, {"user", &img.Settings.User}, {"workdir", &img.Settings.WorkingDir}, {"store", &img.Store}}
}

// unixNano: the zero time has no such number.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (img *Image) decode(text string) error {
	head, config, found := strings.Cut(text, "\n\n")
	if !found || !strings.HasPrefix(head, "id ") {
		return errEntry
	}
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		if err := img.set(key, value); err != nil {
			return err
		}
	}
	img.Config = []byte(config)
	return nil
}

// set takes one line. What a later version adds is passed over.
func (img *Image) set(key, value string) (err error) {
	switch key {
	case "id":
		img.ID = value
		return nil
	case "size":
		img.Size, err = strconv.ParseInt(value, 10, 64)
		return err
	case "created":
		at, err := strconv.ParseInt(value, 10, 64)
		if at != 0 {
			img.Created = time.Unix(0, at).UTC()
		}
		return err
	}
	plain, err := strconv.Unquote(value)
	if err != nil {
		return errEntry
	}
	for _, list := range img.lists() {
		if list.key == key {
			*list.values = append(*list.values, plain)
		}
	}
	for _, text := range img.texts() {
		if text.key == key {
			*text.value = plain
		}
	}
	return nil
}
