package netslirp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// dialTimeout is under what a client of Linux waits (tcp(7), tcp_syn_retries).
	dialTimeout = 60 * time.Second
	// firstChunk is what one read or write of the host's socket moves at first:
	// there may be thousands of flows, and few of them move much. A flow that
	// fills it gets twice as much, up to lastChunk.
	firstChunk = 32 << 10
	lastChunk  = 1 << 20
)

// acceptTCP connects on the host before it answers, so that the container
// sees a refusal as one.
func (s *Server) acceptTCP(r *tcp.ForwarderRequest) {
	s.outward.Add(1)
	s.active.began()
	if !s.repeatTCP(r) {
		s.outward.Done()
		s.active.ended()
	}
}

// repeatTCP begins a flow, or refuses it and gives false.
func (s *Server) repeatTCP(r *tcp.ForwarderRequest) bool {
	to := peer(r.ID())
	conn, err := s.dialTCP(to)
	if err != nil {
		r.Complete(true)
		return false
	}
	var queue waiter.Queue
	ep, problem := r.CreateEndpoint(&queue)
	if problem != nil {
		r.Complete(true)
		conn.Close()
		return false
	}
	r.Complete(false)
	ep.SocketOptions().SetDelayOption(false)
	ep.SocketOptions().SetKeepAlive(true)
	f := &flow{ep: ep, queue: &queue, conn: conn}
	go func() {
		defer s.active.ended()
		f.run(s.outward.Done)
	}()
	return true
}

func (s *Server) dialTCP(to netip.AddrPort) (*net.TCPConn, error) {
	if s.cfg.isDNS(to) {
		return s.dns.dialTCP()
	}
	addr, ok := s.cfg.destination(to.Addr())
	if !ok {
		return nil, errUnreachable
	}
	return dialTCP(netip.AddrPortFrom(addr, to.Port()), dialTimeout)
}

var errUnreachable = errors.New("not reachable from the container")

func dialTCP(to netip.AddrPort, limit time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: limit}
	conn, err := d.DialContext(context.Background(), "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// flow joins a connection of the container with one of the host.
type flow struct {
	ep    tcpip.Endpoint
	queue *waiter.Queue
	conn  *net.TCPConn
}

// run copies both ways; each way ends by itself, as TCP's do. A reset on one
// side becomes one on the other. said is called when the container has said all.
func (f *flow) run(said func()) {
	outward := make(chan error, 1)
	go func() {
		err := f.out()
		said()
		outward <- err
	}()
	err := f.in()
	var other error
	select {
	case other = <-outward: // all was said: a reset would take back what the host has yet to read
	default:
		if err != nil {
			f.abort()
		}
		other = <-outward
	}
	if other != nil && err == nil {
		f.abort()
	}
	f.conn.Close()
	f.ep.Close()
}

func (f *flow) abort() {
	_ = f.conn.SetLinger(0)
	f.conn.Close()
	f.ep.Abort()
}

// out copies from the container to the host.
func (f *flow) out() error {
	events, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr | waiter.EventHUp)
	f.queue.EventRegister(&events)
	defer f.queue.EventUnregister(&events)
	buf := make([]byte, firstChunk)
	for {
		n, end := f.drain(buf)
		if n > 0 {
			if _, err := f.conn.Write(buf[:n]); err != nil {
				f.ep.Abort() // wakes in as well
				f.conn.Close()
				return err
			}
			buf = larger(buf, n)
		}
		switch end.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			if n == 0 {
				<-ready
			}
		case *tcpip.ErrClosedForReceive:
			return f.conn.CloseWrite()
		default:
			_ = f.conn.SetLinger(0)
			f.conn.Close()
			return errors.New(end.String())
		}
	}
}

// larger gives the buffer for what follows n bytes.
func larger(buf []byte, n int) []byte {
	if n < len(buf) || len(buf) >= lastChunk {
		return buf
	}
	return make([]byte, 2*len(buf))
}

// drain fills the buffer with what has come, so that the host's socket is
// written once for many segments.
func (f *flow) drain(buf []byte) (n int, end tcpip.Error) {
	for n < len(buf) {
		w := tcpip.SliceWriter(buf[n:])
		result, err := f.ep.Read(&w, tcpip.ReadOptions{})
		if err != nil {
			return n, err
		}
		n += result.Count
	}
	return n, nil
}

// in copies from the host to the container.
func (f *flow) in() error {
	events, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	f.queue.EventRegister(&events)
	defer f.queue.EventUnregister(&events)
	buf := make([]byte, firstChunk)
	for {
		n, err := f.conn.Read(buf)
		for rest := bytes.NewReader(buf[:n]); rest.Len() > 0; {
			_, problem := f.ep.Write(rest, tcpip.WriteOptions{})
			switch problem.(type) {
			case nil:
			case *tcpip.ErrWouldBlock:
				<-ready
			default:
				return errors.New(problem.String())
			}
		}
		buf = larger(buf, n)
		if errors.Is(err, io.EOF) {
			_ = f.ep.Shutdown(tcpip.ShutdownWrite)
			return nil
		}
		if err != nil {
			return err
		}
	}
}
