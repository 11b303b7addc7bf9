package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
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
	errors int          // network errors in a row
}

// newClient checks what can be checked without a file or the network: a
// certificate that is missing now may be there in a minute.
func newClient(c Receiver, p protocol, version string) (*client, error) {
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
	header.Set("Content-Type", p.contentType)
	header.Set("X-Prometheus-Remote-Write-Version", p.version)
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

// post sends a body and returns how that ended, within the timeout. attempt
// is how often this request was sent before.
func (c *client) post(ctx context.Context, body []byte, attempt int) answer {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.roundTrip(ctx, body, attempt)
	if err != nil {
		a = answer{verdict: tryAgain, err: c.readable(err), unknown: a.unknown}
	}
	a.text = c.secrets.hide(a.text)
	a.took = time.Since(begin)
	c.count(err)
	return a
}

// roundTrip sends one request. Its answer says even with an error whether
// the receiver may have taken the request.
func (c *client) roundTrip(ctx context.Context, body []byte, attempt int) (a answer, err error) {
	if err := c.connect(); err != nil {
		return answer{}, err
	}
	connected := make(chan struct{}, 1) // a dial may outlive the request, so no plain variable
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		select {
		case connected <- struct{}{}:
		default:
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = c.header.Clone()
	if attempt > 0 {
		req.Header.Set("Retry-Attempt", strconv.Itoa(attempt))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{unknown: len(connected) > 0}, err
	}
	defer resp.Body.Close()
	a = readAnswer(resp, time.Now())
	a.unknown = a.verdict == tryAgain
	return a, nil
}

// connect makes the client if there is none.
func (c *client) connect() error {
	if c.http != nil {
		return nil
	}
	var options []config.HTTPClientOption
	if c.dial != nil {
		options = append(options, config.WithDialContextFunc(c.dial))
	}
	made, err := config.NewClientFromConfig(c.options, "remote_write", options...)
	if err != nil {
		return err
	}
	follow := c.options.FollowRedirects
	made.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if follow && mayFollow(req, via) {
			return nil
		}
		return http.ErrUseLastResponse
	}
	c.http = made
	return nil
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

// close closes the idle connections.
func (c *client) close() {
	if c.http != nil {
		c.http.CloseIdleConnections()
		c.http = nil
	}
}

// readable takes the URL, which may hold a password or a token, out of an
// error of net/http.
func (c *client) readable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return fmt.Errorf("no answer within %v", c.timeout)
		}
		err = e.Err
	}
	return errors.New(c.secrets.hide(err.Error()))
}
