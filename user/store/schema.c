// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of a history file; what they mean is in portlife-history(5).
 *
 * A hot file and a sealed one differ in the lease table only: the hot one takes
 * rows as they end and keeps the ports of each batch in `run`; the sealed one
 * is numbered in the order of (port, start), so that `port` needs to keep no
 * more than the first number of each port.  db_check() compares these texts
 * with those in a file, so each change here is a new DB_VERSION; what older
 * versions looked like stays here, because their files are still read.
 */
#include "store/db.h"

#define META \
	"CREATE TABLE meta(seq INTEGER,host TEXT,boot_id TEXT,version TEXT,base INTEGER,clock INTEGER," \
	"recorded_since INTEGER,since INTEGER,until INTEGER,leases INTEGER)"
#define SESSION \
	"CREATE TABLE session(id INTEGER PRIMARY KEY,since INTEGER,until INTEGER,ended INTEGER,pid INTEGER,version TEXT)"
#define GAP "CREATE TABLE gap(id INTEGER PRIMARY KEY,since INTEGER,until INTEGER,lost INTEGER,cause TEXT)"
#define STEP "CREATE TABLE step(id INTEGER PRIMARY KEY,at INTEGER,clock INTEGER)"
#define EXE "CREATE TABLE exe(id INTEGER PRIMARY KEY,inode INTEGER,path TEXT)"
#define WORKLOAD \
	"CREATE TABLE workload(id INTEGER PRIMARY KEY,cgroup_id INTEGER,cgroup TEXT,unit TEXT,container_id TEXT,pod_uid TEXT)"
#define PROCESS_1 \
	"CREATE TABLE process(id INTEGER PRIMARY KEY,pid INTEGER,tid INTEGER,ppid INTEGER,uid INTEGER,comm TEXT," \
	"start INTEGER,boot_start INTEGER,exe INTEGER,workload INTEGER)"
#define PROCESS \
	"CREATE TABLE process(id INTEGER PRIMARY KEY,pid INTEGER,tid INTEGER,ppid INTEGER,uid INTEGER,comm TEXT," \
	"start INTEGER,boot_start INTEGER,exe INTEGER,workload INTEGER,cmdline TEXT)"
#define SHAPE \
	"CREATE TABLE shape(id INTEGER PRIMARY KEY,netns INTEGER,proto TEXT,family TEXT,laddr TEXT,kind TEXT," \
	"flags INTEGER,owner TEXT,reason TEXT,evidence TEXT)"
#define PEER "CREATE TABLE peer(id INTEGER PRIMARY KEY,raddr TEXT,rport INTEGER)"
#define FAIL \
	"CREATE TABLE fail(id INTEGER PRIMARY KEY,at INTEGER,port INTEGER,errno TEXT,process INTEGER,shape INTEGER,peer INTEGER)"
#define MINUTE \
	"CREATE TABLE minute(id INTEGER PRIMARY KEY,at INTEGER,unknown INTEGER,connect INTEGER,bind0 INTEGER,bind INTEGER," \
	"listen INTEGER,send INTEGER,accept INTEGER,releases INTEGER,eaddrinuse INTEGER,eaddrnotavail INTEGER,eacces INTEGER," \
	"eagain INTEGER,live INTEGER,time_wait INTEGER,lost INTEGER)"
#define MINUTE_NETNS \
	"CREATE TABLE minute_netns(minute INTEGER,netns INTEGER,range_lo INTEGER,range_hi INTEGER,reserved INTEGER," \
	"used_odd INTEGER,used_even INTEGER,PRIMARY KEY(minute,netns))WITHOUT ROWID"

#define OWNER_COLUMNS \
	"s.proto,s.family,s.laddr,p.raddr,p.rport,s.kind,(s.flags&1)<>0 AS chosen,(s.flags&2)<>0 AS in_range,s.reason," \
	"s.evidence,s.netns,o.pid,o.tid,o.ppid,o.uid,o.comm,o.start AS proc_start,e.path AS exe,w.cgroup,w.unit," \
	"w.container_id,w.pod_uid"
#define CMDLINE_COLUMN ",o.cmdline"	/* since version 2 */
#define OWNER_JOINS \
	"LEFT JOIN shape s ON s.id=l.shape LEFT JOIN peer p ON p.id=l.peer LEFT JOIN process o ON o.id=l.process " \
	"LEFT JOIN exe e ON e.id=o.exe LEFT JOIN workload w ON w.id=o.workload"
#define LEASE_COLUMNS \
	"m.base+l.start AS start,m.base+l.start+l.duration AS ended,m.base+l.start+l.active AS closed," \
	"l.duration/1000 AS duration_us,((m.base+l.start-m.clock)<<10)+l.mark AS lease,l.cookie," OWNER_COLUMNS

#define HOT_LEASE \
	"CREATE TABLE lease(id INTEGER PRIMARY KEY,port INTEGER,mark INTEGER,start INTEGER,duration INTEGER,active INTEGER," \
	"process INTEGER,shape INTEGER,peer INTEGER,cookie INTEGER)"
#define SEALED_LEASE \
	"CREATE TABLE lease(id INTEGER PRIMARY KEY,mark INTEGER,start INTEGER,duration INTEGER,active INTEGER," \
	"process INTEGER,shape INTEGER,peer INTEGER,cookie INTEGER)"
#define RUN "CREATE TABLE run(first INTEGER PRIMARY KEY,ports BLOB)"
#define PORT "CREATE TABLE port(port INTEGER PRIMARY KEY,first INTEGER,count INTEGER,lives INTEGER,longest INTEGER)"
#define LONG "CREATE TABLE long(port INTEGER,lease INTEGER,PRIMARY KEY(port,lease))WITHOUT ROWID"
#define EVICTED "CREATE TABLE evicted(seq INTEGER PRIMARY KEY,since INTEGER,until INTEGER,leases INTEGER)"

#define HOT_VIEW(more) \
	"CREATE VIEW leases AS SELECT l.port," LEASE_COLUMNS more " FROM meta m CROSS JOIN lease l " OWNER_JOINS
#define SEALED_VIEW(more) \
	"CREATE VIEW leases AS SELECT q.port," LEASE_COLUMNS more " FROM meta m CROSS JOIN port q CROSS JOIN lease l " \
	"ON l.id BETWEEN q.first AND q.first+q.count-1 " OWNER_JOINS
#define FAILS_VIEW(more) \
	"CREATE VIEW fails AS SELECT l.port,m.base+l.at AS at,l.errno," OWNER_COLUMNS more " FROM meta m CROSS JOIN fail l " \
	OWNER_JOINS

#define COMMON(process) META, SESSION, GAP, STEP, EXE, WORKLOAD, process, SHAPE, PEER, FAIL, MINUTE, MINUTE_NETNS

#define KINDS 3

static const char *const *const schemas[DB_VERSION][KINDS] = {
	{
		[DIR_HOT] = (const char *const[]){ COMMON(PROCESS_1), HOT_LEASE, RUN, HOT_VIEW(""), FAILS_VIEW(""), NULL },
		[DIR_SEALED] = (const char *const[]){ COMMON(PROCESS_1), SEALED_LEASE, PORT, LONG, SEALED_VIEW(""), FAILS_VIEW(""),
						      NULL },
		[DIR_MINUTES] = (const char *const[]){ MINUTE, MINUTE_NETNS, GAP, EVICTED, NULL },
	}, {
		[DIR_HOT] = (const char *const[]){ COMMON(PROCESS), HOT_LEASE, RUN, HOT_VIEW(CMDLINE_COLUMN),
						   FAILS_VIEW(CMDLINE_COLUMN), NULL },
		[DIR_SEALED] = (const char *const[]){ COMMON(PROCESS), SEALED_LEASE, PORT, LONG, SEALED_VIEW(CMDLINE_COLUMN),
						      FAILS_VIEW(CMDLINE_COLUMN), NULL },
		[DIR_MINUTES] = (const char *const[]){ MINUTE, MINUTE_NETNS, GAP, EVICTED, NULL },
	},
};

const char *const *schema_of(enum dir_kind kind, int version)
{
	return version < 1 || version > DB_VERSION ? NULL : schemas[version - 1][kind];
}
