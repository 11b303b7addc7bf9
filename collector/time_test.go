package collector

import (
	_ "time/tzdata" // the machine may have none

	"testing"
	"time"

	"nodepush/metric"
)

// The value is the collection's own time, to the millisecond.
func TestTimeIsThatOfTheRound(t *testing.T) {
	c := makeOne(t, hostWith(t, nil), "time", Options{})
	for _, ms := range []int64{0, 1, 1700000000123, 1999999999999} {
		var dst metric.Buffer
		if err := c.Collect(t.Context(), time.UnixMilli(ms).Add(999*time.Microsecond), &dst); err != nil {
			t.Fatal(err)
		}
		if got := dst.Samples()[0].Value; got != float64(ms)/1000 {
			t.Errorf("at %d ms: got %v", ms, got)
		}
	}
}

// The zone is the host's, in whatever zone the round was given.
func TestTimeZoneChanges(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	h := hostWith(t, nil)
	h.zone = berlin
	c := makeOne(t, h, "time", Options{})
	for day, want := range map[string]map[string]float64{
		"2026-01-15": {`node_time_zone_offset_seconds{time_zone="CET"}`: 3600},
		"2026-07-15": {`node_time_zone_offset_seconds{time_zone="CEST"}`: 7200},
	} {
		now, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		var dst metric.Buffer
		if err := c.Collect(t.Context(), now, &dst); err != nil {
			t.Fatal(err)
		}
		wantSeries(t, seriesOf(t, dst.Samples()), want)
	}
}

func FuzzClocksource(f *testing.F) {
	f.Add("tsc kvm-clock \n")
	f.Add("tsc tsc\n")
	f.Fuzz(func(t *testing.T, text string) {
		fuzzCollector(t, "time", "sys/devices/system/clocksource/clocksource0/available_clocksource", text)
		fuzzCollector(t, "time", "sys/devices/system/clocksource/clocksource0/current_clocksource", text)
	})
}
