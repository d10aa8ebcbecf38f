package sqlite

import (
	"errors"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// IsFull reports whether err says that the disk, or the file's allowance on it, is used up.
func IsFull(err error) bool {
	// A disk quota (EDQUOT) and a file size limit (EFBIG) reach SQLite as a failed write.
	return hasCode(err, lib.SQLITE_FULL) || hasExtended(err, lib.SQLITE_IOERR_WRITE)
}

// IsReadOnly reports whether err says that the file cannot be written.
func IsReadOnly(err error) bool { return hasCode(err, lib.SQLITE_READONLY) }

// IsBusy reports whether err says that another connection held a lock for too long.
func IsBusy(err error) bool { return hasCode(err, lib.SQLITE_BUSY) || hasCode(err, lib.SQLITE_LOCKED) }

// IsConflict reports whether err says that a row breaks a constraint. Only its statement was undone.
func IsConflict(err error) bool { return hasCode(err, lib.SQLITE_CONSTRAINT) }

// IsUnique reports whether err says that a row with the same key exists. Only its statement was undone.
func IsUnique(err error) bool {
	return hasExtended(err, lib.SQLITE_CONSTRAINT_UNIQUE) || hasExtended(err, lib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// IsForeign reports whether err says that a row refers to one that does not exist, or is still referred to.
func IsForeign(err error) bool { return hasExtended(err, lib.SQLITE_CONSTRAINT_FOREIGNKEY) }

// IsSync reports whether err says that data could not be forced to the disk. What was written before may be lost
// although later attempts succeed: the system forgets pages whose writing failed.
func IsSync(err error) bool {
	return hasExtended(err, lib.SQLITE_IOERR_FSYNC) || hasExtended(err, lib.SQLITE_IOERR_DIR_FSYNC)
}

// hasCode compares the low byte, which names the class of a result code.
func hasCode(err error, code int) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == code
}

func hasExtended(err error, code int) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code() == code
}

// IsOwnFault reports whether err lies in the statement's own values: a broken constraint, a value too large or of the
// wrong type. Only the statement was undone; the transaction goes on.
func IsOwnFault(err error) bool {
	return IsConflict(err) || hasCode(err, lib.SQLITE_TOOBIG) || hasCode(err, lib.SQLITE_MISMATCH)
}
