package writer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/config"
)

// reconnectAfter is how many network errors in a row make the client start
// over with new connections, so that a receiver that moved is found again.
const reconnectAfter = 3

// client posts requests to one receiver. It is used by one goroutine.
type client struct {
	url     string
	header  http.Header // of every request
	options config.HTTPClientConfig
	timeout time.Duration
	dial    config.DialContextFunc // nil: the system's
	secrets secrets

	http   *http.Client // nil: to be made by the next post
	conns  connections
	late   *call // abandoned, and not yet back; it has the http client
	errors int   // network errors in a row
}

// newClient checks what can be checked without a file or the network: a
// certificate that is missing now may be there in a minute.
func newClient(c Receiver, version string) (*client, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("the url is not valid") // the cause would quote it, with its password
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("url %s is not of the form http://host/path or https://host/path", shown(u))
	}
	options := c.HTTP
	if err := options.Validate(); err != nil {
		return nil, err
	}
	header := make(http.Header)
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Encoding", "snappy")
	header.Set("User-Agent", "nodepush/"+version)
	return &client{
		url: c.URL, header: header, options: options, timeout: c.Timeout, secrets: newSecrets(c, u),
	}, nil
}

// shown returns a URL for the log: its user, password and query stay secret.
func shown(u *url.URL) string {
	s := u.Scheme + "://"
	if u.User != nil {
		s += hidden + "@"
	}
	s += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		s += "?" + hidden
	}
	return s
}

// post sends a body of protocol p and returns how that ended, within the
// timeout. attempt is how often this request was sent before.
func (c *client) post(ctx context.Context, p *protocol, body []byte, attempt int) answer {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.roundTrip(ctx, p, body, attempt)
	if err != nil {
		a.verdict = tryAgain
	}
	a.took = time.Since(begin)
	c.count(err)
	return a
}

// connected returns the client that there is, or makes one.
func (c *client) connected(made *http.Client) (*http.Client, error) {
	if made != nil {
		return made, nil
	}
	dial := c.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: c.timeout}).DialContext // a token is fetched without a context
	}
	made, err := config.NewClientFromConfig(c.options, "remote_write", config.WithDialContextFunc(c.conns.through(dial)))
	if err != nil {
		return nil, err
	}
	follow := c.options.FollowRedirects
	made.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if follow && mayFollow(req, via) {
			return nil
		}
		return http.ErrUseLastResponse
	}
	return made, nil
}

// maxRedirects bounds a chain of redirects.
const maxRedirects = 5

// mayFollow reports whether a redirect keeps the method and the body, stays
// with the host that our credentials are for, and does not give up TLS.
func mayFollow(req *http.Request, via []*http.Request) bool {
	status := req.Response.StatusCode
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect || len(via) > maxRedirects {
		return false
	}
	from, to := via[0].URL, req.URL
	if to.User != nil && to.User.String() != from.User.String() {
		return false
	}
	if from.Scheme == to.Scheme {
		return authority(from) == authority(to)
	}
	return from.Scheme == "http" && authority(from) == net.JoinHostPort(to.Hostname(), "80") &&
		to.Scheme == "https" && authority(to) == net.JoinHostPort(from.Hostname(), "443")
}

// authority returns host and port of a URL, the default port written out.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// count drops the connections after some network errors in a row: the next
// request resolves the name and connects anew.
func (c *client) count(err error) {
	if err == nil {
		c.errors = 0
		return
	}
	if c.errors++; c.errors >= reconnectAfter {
		c.errors = 0
		c.close()
	}
}

// close closes the idle connections. Those of an abandoned call are closed
// already.
func (c *client) close() {
	if c.http != nil {
		c.http.CloseIdleConnections()
		c.http = nil
	}
}
