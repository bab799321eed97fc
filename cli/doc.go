// Package cli is the command line of rl: one file a command. It alone reads
// the environment, prints, and holds defaults; each command checks its flags,
// fills a struct and makes one call.
//
// Exit codes are docker's: 125 rl itself, 126 the program cannot be executed,
// 127 it is not found, 128+n it died of signal n, else its own.
package cli
