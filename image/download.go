package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// IsURL says whether an argument is to be fetched.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// download gives the body of an answer.
func download(ctx context.Context, url string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: roundTripper(false)}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("downloading %s: %s", url, answer.Status)
	}
	return answer.Body, nil
}
