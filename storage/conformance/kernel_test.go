package conformance

import "testing"

// TestKernel runs the suite on the kernel's overlay: what it does is the measure.
func TestKernel(t *testing.T) {
	if InNamespace(t) {
		Run(t, Kernel)
	}
}
