package container

import (
	"fmt"
	"strings"
)

// DetachKeys reads docker's form of the keys that leave a container alone:
// single letters and ctrl-X, separated by commas (docker-attach(1)).
func DetachKeys(text string) (keys []byte, err error) {
	if text == "" {
		return nil, nil
	}
	for _, key := range strings.Split(text, ",") {
		letter, ctrl := strings.CutPrefix(strings.ToLower(key), "ctrl-")
		switch {
		case ctrl && len(letter) == 1 && strings.Contains("@abcdefghijklmnopqrstuvwxyz[\\]^_", letter):
			keys = append(keys, strings.ToUpper(letter)[0]&0x1f)
		case !ctrl && len(key) == 1:
			keys = append(keys, key[0])
		default:
			return nil, fmt.Errorf("--detach-keys %s: letters, or ctrl- and a letter or one of @[\\]^_, separated by commas", text)
		}
	}
	return keys, nil
}

// KeyFilter holds back what may become the keys.
type KeyFilter struct {
	Keys []byte
	held int // how many of them were typed
}

// Pass gives what is to be typed. true: the keys were typed.
func (f *KeyFilter) Pass(text []byte) (out []byte, leave bool) {
	if len(f.Keys) == 0 {
		return text, false
	}
	for _, c := range text {
		if c == f.Keys[f.held] {
			if f.held++; f.held == len(f.Keys) {
				return out, true
			}
			continue
		}
		out = append(out, f.Keys[:f.held]...)
		if f.held = 0; c == f.Keys[0] {
			f.held = 1
			continue
		}
		out = append(out, c)
	}
	return out, false
}
