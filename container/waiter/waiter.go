// Package waiter holds the program that waits beside a detached container, in
// the place of rl: it keeps what is open, appends what the container writes to
// its log, passes signals on, and executes rl in its own process as soon as
// there is more to do. Starting it, and going on from there, is left to package
// container.
//
// It relies on pidfds, Linux 5.3, memfd_create(2) and execveat(2). Where one of
// them is missing rl stays itself, with some twenty times the memory.
package waiter

//go:generate sh ../initbin/generate.sh

// The descriptors that it and rl after it know each other by; each is there or
// not.
const (
	RL     = 3 + iota // rl's own binary
	Init              // a pidfd of the container's first process
	Lock              // of the container's directory
	Log               // its log
	Out               // the read end of its standard output, or its terminal
	Err               // the read end of its standard error
	TUN               // its network device
	Input             // the socket on which someone wants to type
	Stdin             // the other end of its standard input
	Packet            // in rl alone: a file with the frame that it is to answer
	Image             // the lock of its image
	More              // and up: sockets on which someone wants the container
)

// Most is how many sockets may follow More.
const Most = 48

// Program is the ELF file. Its arguments are a name, the word "resume", the
// container's id, and local time's offset in minutes, with an e behind it where
// frames of the network device have an Ethernet header; rl gets, in the place of
// the last, which descriptors are there: the sum of 1 << number.
func Program() []byte { return program }
