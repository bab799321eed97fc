package netslirp

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Names of the containers of a network are in files beside their sockets: one
// a line, ADDRESS.names. They are read for each question: who comes and goes
// tells nobody.

const (
	typeA, typeAAAA = 1, 28 // RFC 1035, RFC 3596
	typePTR         = 12
	classIN         = 1
	nameTTL         = 1 // seconds: a name moves when its container starts again
	headerSize      = 12
)

// question is the one of a DNS query (RFC 1035, section 4.1.2).
type question struct {
	name string // in lower case, without the last dot
	kind uint16
	end  int // of it in the message
}

func parseQuestion(query []byte) (q question, ok bool) {
	if len(query) < headerSize || query[2]&0xf8 != 0 || binary.BigEndian.Uint16(query[4:]) != 1 {
		return q, false // no standard query of one name
	}
	var labels []string
	at := headerSize
	for {
		if at >= len(query) {
			return q, false
		}
		size := int(query[at])
		at++
		if size == 0 {
			break
		}
		if size > 63 || at+size > len(query) {
			return q, false
		}
		labels = append(labels, strings.ToLower(string(query[at:at+size])))
		at += size
	}
	if at+4 > len(query) || binary.BigEndian.Uint16(query[at+2:]) != classIN {
		return q, false
	}
	return question{strings.Join(labels, "."), binary.BigEndian.Uint16(query[at:]), at + 4}, true
}

// answer replies to questions about the network's containers; nil: it is not
// about them.
func (g *segment) answer(query []byte) []byte {
	q, ok := parseQuestion(query)
	if !ok {
		return nil
	}
	var records [][]byte
	if q.kind == typePTR {
		name := g.reverse(q.name)
		if name == "" {
			return nil
		}
		records = append(records, encodeName(name))
	} else {
		list := g.lookup(q.name)
		if len(list) == 0 {
			return nil
		}
		if q.kind == typeA {
			for _, a := range list {
				records = append(records, a.AsSlice())
			}
		} // else it is there, and has nothing of that type
	}
	return reply(query, q, records)
}

// unknown says that there is no such name (RFC 1035, section 4.1.1, RCODE 3).
func unknown(query []byte) ([]byte, error) {
	q, ok := parseQuestion(query)
	if !ok {
		return nil, errUnreachable
	}
	b := reply(query, q, nil)
	b[3] |= 3
	return b, nil
}

func reply(query []byte, q question, records [][]byte) []byte {
	order := binary.BigEndian
	b := slices.Clone(query[:q.end])
	b[2], b[3] = 0x84|query[2]&1, 0x80 // an answer, with authority; recursion available
	order.PutUint16(b[6:], uint16(len(records)))
	order.PutUint32(b[8:], 0)
	for _, data := range records {
		b = order.AppendUint16(b, 0xc000|headerSize) // the question's name
		b = order.AppendUint16(b, q.kind)
		b = order.AppendUint16(b, classIN)
		b = order.AppendUint32(b, nameTTL)
		b = order.AppendUint16(b, uint16(len(data)))
		b = append(b, data...)
	}
	return b
}

func encodeName(name string) (b []byte) {
	for label := range strings.SplitSeq(name, ".") {
		b = append(b, byte(min(len(label), 63)))
		b = append(b, label[:min(len(label), 63)]...)
	}
	return append(b, 0)
}

// each calls f with the address and names of all containers that live.
func (g *segment) each(f func(a netip.Addr, names []string)) {
	fd, err := unix.Openat(g.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	dir := os.NewFile(uintptr(fd), "network")
	defer dir.Close()
	entries, _ := dir.Readdirnames(-1)
	slices.Sort(entries)
	for _, name := range entries {
		text, found := strings.CutSuffix(name, ".names")
		a, err := netip.ParseAddr(text)
		if !found || err != nil {
			continue
		}
		lines, err := os.ReadFile(g.path(a) + ".names")
		if err == nil {
			f(a, strings.Fields(string(lines)))
		}
	}
}

// lookup gives the addresses of a name.
func (g *segment) lookup(name string) (list []netip.Addr) {
	g.each(func(a netip.Addr, names []string) {
		if slices.ContainsFunc(names, func(n string) bool { return strings.ToLower(n) == name }) && g.alive(a.String()) {
			list = append(list, a)
		}
	})
	return list
}

// reverse gives the name of an address as in 2.0.89.10.in-addr.arpa.
func (g *segment) reverse(text string) (name string) {
	labels := strings.Split(strings.TrimSuffix(text, ".in-addr.arpa"), ".")
	slices.Reverse(labels)
	wanted, err := netip.ParseAddr(strings.Join(labels, "."))
	if err != nil {
		return ""
	}
	g.each(func(a netip.Addr, names []string) {
		if a == wanted && len(names) > 0 {
			name = names[min(2, len(names)-1)]
		}
	})
	return name
}
