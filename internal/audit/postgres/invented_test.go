package postgres_test

import "testing"

// TestAWriterWithoutACheckpointIsTold: who owns the database can make up a writer with records that are right by themselves.
// They cannot be told from those of a process that has just begun; so it is said that there are such.
func TestAWriterWithoutACheckpointIsTold(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	s.write(log, s.notary(log), intent(1), outcome(1))
	if report, err := s.verify(); err != nil || report.Unknown != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	s.write(openLog(t, ""), nil, intent(2), outcome(2)) // shipped, and signed by nobody
	if report, err := s.verify(); err != nil || report.Unknown != 1 || report.Fixed != 2 || report.Records != 4 {
		t.Errorf("%+v, %v", report, err)
	}
}
