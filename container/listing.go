package container

import (
	"encoding/binary"
	"path"
	"reflect"
	"sync"
	"time"
	"unsafe"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
)

// A list of many containers takes what it needs of those that do not run from a
// cache, as git's index does with files. What was read of a container is there
// with the stamp of its directory, and counts while that is the same: all files
// are replaced by renames in the directory, but for exitFile, which is final
// once there is something in it. The kernel's clock ticks, so a directory that
// was changed just before it was read may be changed again without another stamp.
const (
	listingMagic = "rl list 1\n"
	worthListing = 50              // containers
	settledFor   = 2 * time.Second // since the last change; ext4 may have whole seconds alone
	mostPacked   = 64 << 10        // bytes of a container
)

// listing is the cache as a list uses it; nil where there is none.
type listing struct {
	dirs  storage.Dirs
	place storage.Place
	known map[string]listed
	until time.Time // what changed later is left out

	// By the number of the container in the list:
	used  []listed // without packed: to be packed
	infos []Info   // made at once, as they are large
}

type listed struct {
	stamp  storage.Stamp
	packed string
}

// openListing reads it for a list of so many containers.
func openListing(d storage.Dirs, count int, now time.Time) *listing {
	if count < worthListing {
		d.RemoveListing()
		return nil
	}
	place, ok := d.OpenPlace()
	if !ok {
		return nil
	}
	l := &listing{dirs: d, place: place, until: now.Add(-settledFor), used: make([]listed, count)}
	if l.known = decodeListing(d.Listing(), l.head()); len(l.known) > count/2 {
		l.infos = make([]Info, count)
	}
	return l
}

// head is what a listing begins with when it is one of ours, of this place and
// this boot: after a crash a directory may be older than what was read of it.
func (l *listing) head() string {
	b := binary.LittleEndian.AppendUint64([]byte(listingMagic+bootID()+"\n"), infoForm().sum)
	return string(binary.LittleEndian.AppendUint64(b, l.place.Device))
}

// look is look for the container of that number.
func (l *listing) look(n int, e storage.Entry) (*Info, error) {
	if l == nil || e.Transient() {
		return look(e)
	}
	name := path.Base(e.Dir)
	stamp, ok := l.place.Stamp(name)
	if found, known := l.known[name]; ok && known && found.stamp == stamp {
		var info *Info
		if l.infos != nil {
			info = &l.infos[n]
		} else {
			info = &Info{}
		}
		if info.unpack(e, found.packed) {
			l.used[n] = found
			return info, nil
		}
	}
	info, err := look(e)
	if err == nil && ok && stamp.Before(l.until) && info.lasting() {
		l.used[n].stamp = stamp
	}
	return info, err
}

// lasting: nothing becomes of it that does not show in its directory.
func (i *Info) lasting() bool {
	return i.spec == nil && (i.Status == StatusCreated || i.Status == StatusExited && !i.Ended.Again && !i.Ended.Finished.IsZero())
}

// close writes it anew when that saves the next ones more than it costs now.
func (l *listing) close(entries []storage.Entry, found []*Info) {
	if l == nil {
		return
	}
	l.place.Close()
	kept, fresh := 0, 0
	for _, u := range l.used {
		if u.packed != "" {
			kept++
		} else if u.stamp.Inode != 0 {
			fresh++
		}
	}
	enough := func() bool { return fresh > 0 && fresh*32 >= kept+fresh || len(l.known) > 2*(kept+fresh)+worthListing }
	if !enough() {
		return
	}
	for n, u := range l.used {
		if u.stamp.Inode != 0 && u.packed == "" {
			if l.used[n].packed = packInfo(found[n]); l.used[n].packed == "" {
				fresh--
			}
		}
	}
	if kept+fresh < worthListing || !enough() {
		return
	}
	l.dirs.SetListing(encodeListing(l.head(), entries, l.used))
}

// encodeListing is the head, the sum of the rest, and the containers.
func encodeListing(head string, entries []storage.Entry, used []listed) []byte {
	b := append([]byte(head), make([]byte, 8)...)
	for n, u := range used {
		if u.packed == "" {
			continue
		}
		name := path.Base(entries[n].Dir)
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		for _, part := range []uint64{u.stamp.Inode, u.stamp.Changed, u.stamp.Modified} {
			b = binary.LittleEndian.AppendUint64(b, part)
		}
		b = append(binary.AppendUvarint(b, uint64(len(u.packed))), u.packed...)
	}
	rest := b[len(head)+8:]
	binary.LittleEndian.PutUint64(b[len(head):], checksum(rest))
	return b
}

// decodeListing gives nothing for what is not wholly right.
func decodeListing(text []byte, head string) map[string]listed {
	if len(text) < len(head)+8 || string(text[:len(head)]) != head || binary.LittleEndian.Uint64(text[len(head):]) != checksum(text[len(head)+8:]) {
		return nil
	}
	text = text[len(head)+8:]
	u := unpacker{text: unsafe.String(unsafe.SliceData(text), len(text))} // nobody changes it any more
	known := make(map[string]listed, len(text)/512)
	for u.text != "" && !u.bad {
		name, stamps := u.string(), [3]uint64{}
		if len(u.text) < 24 {
			return nil
		}
		for i := range stamps {
			stamps[i] = binary.LittleEndian.Uint64([]byte(u.text[8*i : 8*i+8]))
		}
		u.text = u.text[24:]
		known[name] = listed{storage.Stamp{Inode: stamps[0], Changed: stamps[1], Modified: stamps[2]}, u.string()}
	}
	if u.bad {
		return nil
	}
	return known
}

// checksum finds what a crash or a full disk made of a file. It goes by eight
// bytes at once and needs no package that a start would wait for.
func checksum(b []byte) uint64 {
	const prime = 1099511628211 // FNV-1a's
	sum := uint64(len(b)) ^ 14695981039346656037
	for ; len(b) >= 8; b = b[8:] {
		sum = (sum ^ binary.LittleEndian.Uint64(b)) * prime
		sum ^= sum >> 29
	}
	for _, c := range b {
		sum = (sum ^ uint64(c)) * prime
	}
	return sum
}

type infoForms struct {
	record, state, ended *form
	sum                  uint64 // of what is in them
}

// infoForm is made when it is needed: a start does not wait for it.
var infoForm = sync.OnceValue(func() infoForms {
	f := forms{made: map[reflect.Type]*form{}}
	made := infoForms{record: f.of(reflect.TypeFor[Record]()), state: f.of(reflect.TypeFor[State]()), ended: f.of(reflect.TypeFor[Ended]())}
	made.sum = checksum([]byte(f.description.String()))
	return made
})

// packInfo gives nothing when not all of it comes back.
func packInfo(i *Info) string {
	slim := *i
	if reflect.DeepEqual(slim.Options.Slirp, netconfig.Default()) {
		slim.Options.Slirp = netconfig.Network{}
	}
	f, b, ok := infoForm(), []byte{0}, true
	if i.Status == StatusExited {
		b[0] = 1
	}
	for _, part := range []struct {
		form *form
		of   any
	}{{f.record, slim.Record}, {f.state, slim.State}, {f.ended, slim.Ended}} {
		if b, ok = part.form.pack(b, reflect.ValueOf(part.of)); !ok {
			return ""
		}
	}
	var back Info
	if len(b) > mostPacked || !back.unpack(i.Entry, string(b)) || !reflect.DeepEqual(&back, i) {
		return ""
	}
	return string(b)
}

// unpack fills a zero Info; not ok: packInfo has not made that.
func (i *Info) unpack(e storage.Entry, packed string) (ok bool) {
	if packed == "" || packed[0] > 1 || len(packed) > mostPacked {
		return false
	}
	i.Entry, i.Status = e, StatusCreated
	if packed[0] == 1 {
		i.Status = StatusExited
	}
	f, u := infoForm(), &unpacker{text: packed[1:]}
	f.record.unpack(u, reflect.ValueOf(&i.Record).Elem())
	f.state.unpack(u, reflect.ValueOf(&i.State).Elem())
	f.ended.unpack(u, reflect.ValueOf(&i.Ended).Elem())
	if i.Options.Slirp.MTU == 0 {
		i.Options.Slirp = netconfig.Default()
	}
	return !u.bad && u.text == ""
}
