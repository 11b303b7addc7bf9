package agent

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"nodepush/writer"
)

// receiverKeys are the keys of an element of remote_write.
func receiverKeys() []key[writer.Receiver] {
	type rc = writer.Receiver
	keys := []key[rc]{
		{"url", "", "where to send; required", reader[rc]{typ: "http or https URL, expanded", read: readURL}},
		{"name", "", "the receiver's identity in the log and in metrics, unique; by default made from host, port and path of url and the tenant header, so that tuning never changes it", reader[rc]{typ: "string", read: readName}},
		{"remote_timeout", "30s", "how long one request may take", asDuration(func(r *rc) *time.Duration { return &r.Timeout }, 100*time.Millisecond, 10*time.Minute)},
		{"headers", "", "sent with every request; values are expanded", reader[rc]{typ: "mapping of strings, expanded", read: readHeaders}},
		{"write_relabel_configs", "", "rules applied to every series before it is sent; each element is a block", reader[rc]{typ: "list of blocks", read: readRelabel}},
		{"protobuf_message", "auto", "what is sent: remote write 1.0, 2.0, or 2.0 until the receiver shows that it does not know it; see below. Prometheus' default is prometheus.WriteRequest", asChoice(setMessage, word{"auto", ""}, word{message1, ""}, word{message2, ""})},
		{"metadata_config", "", "type, help and unit of the metrics", nested(metadataKeys(), func(r *rc) *writer.Metadata { return &r.Metadata })},
		{"queue_config", "", "batches and retries", nested(queueKeys(), func(r *rc) *rc { return r })},
		{"out_of_order_time_window", "0s", "what the receiver accepts out of order; a lane for new samples beside the backlog is not built yet", reader[rc]{typ: "only 0s", read: readWindow}},
		{"on_endpoint_error", "hold", "on 401 403 404 405 407 410 415, redirects, pages that are no receiver, and where protobuf_message is 2.0 on answers of one that does not know it: hold keeps the log and probes, drop goes on", asChoice(func(r *rc, s string) { r.DropOnEndpointError = s == "drop" }, word{"hold", ""}, word{"drop", ""})},
	}
	keys = append(keys, lift(httpKeys(), func(r *rc) *config.HTTPClientConfig { return &r.HTTP })...)
	return append(keys,
		key[rc]{"send_exemplars", "", "nothing collected here has exemplars", ignored[rc]()},
		key[rc]{"send_native_histograms", "", "nothing collected here is a native histogram", ignored[rc]()},
		key[rc]{"failed_request_logging", "", "failed requests are logged now and then, without their samples", ignored[rc]()},
		key[rc]{"round_robin_dns", "", "the name is resolved anew whenever connections fail", onlyFalse[rc](satisfied, "choosing among addresses at random is not supported")},
		key[rc]{"sigv4", "", "signing for AWS is not supported: put aws-sigv4-proxy in front", rejected[rc]()},
		key[rc]{"azuread", "", "Azure AD is not supported: use oauth2, or a proxy that adds the token", rejected[rc]()},
		key[rc]{"google_iam", "", "Google IAM is not supported: use a proxy that adds the token", rejected[rc]()},
	)
}

// The names of the two messages are those of their protobuf packages.
const (
	message1 = "prometheus.WriteRequest"
	message2 = "io.prometheus.write.v2.Request"
)

func setMessage(r *writer.Receiver, s string) {
	switch s {
	case message1:
		r.Message = writer.Message1
	case message2:
		r.Message = writer.Message2
	default:
		r.Message = writer.MessageAuto
	}
}

// metadataKeys are the keys of the block metadata_config.
func metadataKeys() []key[writer.Metadata] {
	type md = writer.Metadata
	return []key[md]{
		{"send", "false", "1.0: send type, help and unit of every family in requests of their own; 2.0, which always carries type and unit: send the help too. Prometheus' default is true, which costs bytes on every link", asBool(func(m *md) *bool { return &m.Send })},
		{"send_interval", "1m", "how often 1.0 sends them; nothing in 2.0", asDuration(func(m *md) *time.Duration { return &m.Interval }, time.Second, 24*time.Hour)},
		{"max_samples_per_send", "2000", "families in one such request of 1.0; nothing in 2.0", asNumber(func(m *md) *int { return &m.MaxSamples }, 1, 1_000_000)},
	}
}

// queueKeys are the keys of the block queue_config.
func queueKeys() []key[writer.Receiver] {
	type rc = writer.Receiver
	return []key[rc]{
		{"max_samples_per_send", "", "samples in one request; by default 10000, and 20000 while catching up", asNumber(func(r *rc) *int { return &r.MaxSamplesPerSend }, 100, 1_000_000)},
		{"batch_send_deadline", "5s", "how long a collection may wait for others to share its request", asDuration(func(r *rc) *time.Duration { return &r.BatchSendDeadline }, 100*time.Millisecond, time.Hour)},
		{"min_backoff", "500ms", "first delay after a failed request", asDuration(func(r *rc) *time.Duration { return &r.MinBackoff }, 10*time.Millisecond, time.Hour)},
		{"max_backoff", "30s", "longest delay between attempts; at least min_backoff", asDuration(func(r *rc) *time.Duration { return &r.MaxBackoff }, 10*time.Millisecond, time.Hour)},
		{"sample_age_limit", "0s", "older samples are not sent but dropped and counted; 0s: none are", asDurationOrZero(func(r *rc) *time.Duration { return &r.SampleAgeLimit }, time.Minute, 10*365*24*time.Hour)},
		{"capacity", "", "there is no queue in memory: the log on disk is the queue", ignored[rc]()},
		{"max_shards", "", "one request at a time keeps the samples in order", ignored[rc]()},
		{"min_shards", "", "one request at a time keeps the samples in order", ignored[rc]()},
		{"retry_on_http_429", "", "429 is always retried", onlyTrue[rc](satisfied, "429 is always retried, dropping is not supported")},
	}
}

func defaultReceiver() writer.Receiver {
	return writer.Receiver{
		HTTP:              config.HTTPClientConfig{FollowRedirects: true},
		Timeout:           30 * time.Second,
		BatchSendDeadline: 5 * time.Second,
		MinBackoff:        500 * time.Millisecond,
		MaxBackoff:        30 * time.Second,
		Metadata:          writer.Metadata{Interval: time.Minute, MaxSamples: 2000},
	}
}

// receiversReader reads the list remote_write.
func receiversReader() reader[draft] {
	return reader[draft]{typ: "list of blocks", read: func(v value, d *draft) {
		items, keys := v.items(), receiverKeys()
		for _, item := range items {
			r := defaultReceiver()
			readReceiver(item, keys, &r)
			d.Writer.Receivers = append(d.Writer.Receivers, r)
		}
		checkNames(items, d.Writer.Receivers)
		if v.empty() {
			v.fail("at least one receiver is needed: remote_write: [{url: …}]")
		}
	}}
}

// readReceiver reads an element of remote_write and checks its keys against
// each other.
func readReceiver(v value, keys []key[writer.Receiver], r *writer.Receiver) {
	before := len(v.p.problems)
	readBlock(v, keys, r)
	if !v.has("url") {
		v.key("url").fail("is required: an http or https URL such as https://host/api/v1/write")
	}
	if r.MaxBackoff < r.MinBackoff {
		q := v.at("queue_config", nil, v.line)
		name := "max_backoff"
		if !q.has(name) {
			name = "min_backoff"
		}
		q.key(name).fail("max_backoff (%v) is less than min_backoff (%v)", model.Duration(r.MaxBackoff), model.Duration(r.MinBackoff))
	}
	checkHTTP(v, r)
	if len(v.p.problems) > before {
		return
	}
	if err := r.HTTP.Validate(); err != nil { // what the checks above do not know
		v.fail("%v", err)
	}
	if r.Name == "" {
		r.Name = defaultName(r)
	}
}

// checkNames reports receivers whose names are the same.
func checkNames(items []value, receivers []writer.Receiver) {
	for i, r := range receivers {
		first := slices.IndexFunc(receivers[:i], func(o writer.Receiver) bool { return o.Name == r.Name })
		switch {
		case r.Name == "" || first < 0:
		case items[i].has("name"):
			items[i].key("name").fail("is the name of the receiver in line %d too: names must differ", items[first].line)
		default:
			items[i].key("url").fail("url and tenant are those of the receiver in line %d: give each a name of its own", items[first].line)
		}
	}
}

// readURL never shows the value: user, password, query and path may be secret.
func readURL(v value, r *writer.Receiver) {
	s, ok := v.expanded()
	if !ok {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		v.fail("is not a valid URL: it must be like https://host/api/v1/write")
	case u.Scheme != "http" && u.Scheme != "https":
		v.fail("must begin with http:// or https://")
	case u.Hostname() == "":
		v.fail("has no host: it must be like https://host/api/v1/write")
	case !validPort(u):
		v.fail("has a port that is not a number from 1 to 65535")
	case u.Fragment != "":
		v.fail("has a #fragment, which no request carries")
	default:
		r.URL = s
		if u.User != nil {
			v.warn("holds a user or password: basic_auth with password_file keeps it out of the configuration")
		}
	}
}

func validPort(u *url.URL) bool {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && n > 0
}

func readName(v value, r *writer.Receiver) {
	s, ok := v.text()
	switch {
	case !ok:
	case s == "" || len(s) > 128 || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }):
		v.fail("must be 1 to 128 bytes of printable text")
	default:
		r.Name = s
	}
}

func readWindow(v value, _ *writer.Receiver) {
	if d, ok := v.duration(); ok && d != 0 {
		v.fail("only 0s is allowed: a lane for new samples beside the backlog is not built yet")
	}
}

func readHeaders(v value, r *writer.Receiver) {
	r.Headers = make(map[string]string)
	for _, e := range v.entries() {
		h, ok := v.header(e)
		if !ok {
			continue
		}
		s, ok := h.expanded()
		if ok && !headerValue(s) {
			h.fail("the value holds characters that a header cannot carry")
		} else if ok {
			r.Headers[http.CanonicalHeaderKey(e.name)] = s
		}
	}
}

// header returns the value of a header's entry in the mapping v, unless the
// header's name is not one that a configuration may set.
func (v value) header(e entry) (value, bool) {
	h := v.at(e.name, e.node, e.line)
	_, known := config.ReservedHeaders[http.CanonicalHeaderKey(e.name)]
	switch name := http.CanonicalHeaderKey(e.name); {
	case !headerName(e.name):
		v.failHere(e.line, "a key is not a header name (not shown, it may be part of a secret)")
	case h.null():
		v.failHere(e.line, "a header has no value (its name is not shown, it may be part of a secret); quote values with commas")
	case name == "Authorization":
		h.fail("is set by basic_auth, authorization or oauth2, use one of them")
	case known, slices.Contains([]string{"Retry-Attempt", "Transfer-Encoding", "Te", "Trailer", "Upgrade"}, name):
		h.fail("is a header that the agent or the connection sets itself")
	case v.p.has(v.path + "." + name):
		h.fail("is here twice, in another case")
	default:
		v.p.at[v.path+"."+name] = e.line
		return h, true
	}
	return h, false
}

// defaultName is the host and a digest of host, port, path and tenant. Scheme,
// user, password and query are left out, and so is what only tunes: none of
// them may lose the place in the log when it changes.
func defaultName(r *writer.Receiver) string {
	u, err := url.Parse(r.URL)
	if err != nil {
		panic("agent: a checked URL cannot be parsed")
	}
	host := strings.ToLower(u.Hostname())
	id := host
	if p := u.Port(); p != "" && p != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		id += ":" + p
	}
	id += u.EscapedPath()
	for _, name := range []string{"X-Scope-OrgID", "THANOS-TENANT"} {
		if t := tenant(r, http.CanonicalHeaderKey(name)); t != "" {
			id += "\n" + name + ": " + t
		}
	}
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%.100s-%x", host, sum[:4])
}

// tenant returns the header's value in headers or, in the clear, in http_headers.
func tenant(r *writer.Receiver, name string) string {
	if r.HTTP.HTTPHeaders != nil {
		if h, ok := r.HTTP.HTTPHeaders.Headers[name]; ok {
			return strings.Join(h.Values, ",")
		}
	}
	return r.Headers[name]
}
