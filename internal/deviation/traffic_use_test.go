package deviation_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
)

// TestTrafficOfAnotherModelIsLetGo: features by one table are no background for tasks of another.
func TestTrafficOfAnotherModelIsLetGo(t *testing.T) {
	table, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	first := shipped(t)
	second, err := deviation.New(table)
	if err != nil {
		t.Fatal(err)
	}
	traffic := sampling(t, 1000)
	note(traffic, 30, 20)
	if traffic.BackgroundFor(first) == nil || traffic.BackgroundFor(second) != nil || traffic.Background() == nil {
		t.Error("what is kept is not that of the scorer in use alone")
	}
	traffic.Use(second)
	if traffic.Background() != nil {
		t.Error("what was kept by another scorer is still there")
	}
	note(traffic, 30, 20)
	if traffic.BackgroundFor(first) != nil || traffic.BackgroundFor(second) == nil {
		t.Error("what is kept is not that of the scorer in use now")
	}
	(*deviation.Traffic)(nil).Use(first)
}
