package main

import (
	"testing"

	"containers/rl/testdata/harness"
)

// TestScripts runs testdata/script/*.txt against the program that ships, as the user who runs the test. testdata/test does so for a
// user with subordinate ids, for one without, and for root.
func TestScripts(t *testing.T) {
	harness.Enter(t).Run(t)
}

// TestTerminal is what scripts cannot say: rl on a terminal, with a person's keys.
func TestTerminal(t *testing.T) {
	harness.Enter(t).Terminal(t)
}
