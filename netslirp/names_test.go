package netslirp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/netslirp/config"
)

func query(name string, kind uint16) []byte {
	b := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	b = append(b, encodeName(name)...)
	b = binary.BigEndian.AppendUint16(b, kind)
	return binary.BigEndian.AppendUint16(b, classIN)
}

// member makes the socket and the names of a container.
func member(t *testing.T, dir, address, names string) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, address)})
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, address+".names"), []byte(names), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	g := &segment{peers: map[netip.Addr]*peerSocket{}}
	var err error
	if g.dir, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(g.dir)
	defer unix.Close(member(t, dir, "10.89.0.2", "0123456789ab\nlong\nWeb\nalias\n"))
	defer unix.Close(member(t, dir, "10.89.0.3", "ba9876543210\nlong2\nother\nalias\n"))
	unix.Close(member(t, dir, "10.89.0.4", "dead00000000\nlong3\ndead\n"))
	for _, c := range []struct {
		name string
		kind uint16
		want string // addresses; "-": not ours
	}{
		{"web", typeA, "10.89.0.2"}, {"WEB", typeA, "10.89.0.2"}, {"0123456789ab", typeA, "10.89.0.2"}, {"alias", typeA, "10.89.0.2 10.89.0.3"},
		{"web", typeAAAA, ""}, {"dead", typeA, "-"}, {"example.org", typeA, "-"}, {"", typeA, "-"},
	} {
		answer := g.answer(query(c.name, c.kind))
		got := "-"
		if answer != nil {
			got = ""
			count := int(binary.BigEndian.Uint16(answer[6:]))
			for n := range count {
				a, _ := netip.AddrFromSlice(answer[len(answer)-16*(count-n)+12:][:4])
				got += map[bool]string{true: " "}[n > 0] + a.String()
			}
		}
		if got != c.want {
			t.Errorf("%s, type %d: %q, want %q", c.name, c.kind, got, c.want)
		}
	}
	if answer := g.answer(query("2.0.89.10.in-addr.arpa", typePTR)); !bytes.Contains(answer, encodeName("Web")) {
		t.Errorf("the name of 10.89.0.2: %q", answer)
	}
	if answer, err := unknown(query("x", typeA)); err != nil || answer[3]&15 != 3 {
		t.Errorf("an unknown name: %x, %v", answer, err)
	}
}

// A frame to nobody is nobody's; one to a peer that ended is not lost on the next.
func TestSegmentPeers(t *testing.T) {
	dir := t.TempDir()
	own := member(t, dir, "10.89.0.2", "")
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newSegment(&link{}, &config.Segment{Dir: fd, Socket: own})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	peer := netip.MustParseAddr("10.89.0.3")
	head, packet := make([]byte, config.HeaderSize), []byte("packet")
	if g.send(peer, head, packet) {
		t.Error("a frame to nobody was taken")
	}
	for range 2 {
		other := member(t, dir, "10.89.0.3", "")
		if !g.send(peer, head, packet) {
			t.Error("the peer's frame was not taken")
		}
		buf := make([]byte, 100)
		if n, err := unix.Read(other, buf); err != nil || string(buf[config.HeaderSize:n]) != "packet" {
			t.Errorf("the peer got %q, %v", buf[:max(n, 0)], err)
		}
		unix.Close(other)
		if g.send(peer, head, packet) {
			t.Error("a frame to one who is gone was taken")
		}
		_ = os.Remove(filepath.Join(dir, "10.89.0.3"))
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(query("a.b", typeA))
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63})
	f.Fuzz(func(t *testing.T, message []byte) {
		if q, ok := parseQuestion(message); ok && (q.end > len(message) || len(reply(message, q, [][]byte{{1, 2, 3, 4}})) < q.end) {
			t.Errorf("%x: %+v", message, q)
		}
	})
}
