// SPDX-License-Identifier: GPL-2.0-only

#include "served.hh"

#include <algorithm>

static constexpr const char *housekeeping[] = {".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk"};

string ServedAs::text() const
{
	return string(place == Place::upper ? "the upper branch" :
		      place == Place::lower ? "the lower branch" :
					      "the lower rw branch") +
	       (is_new ? ", new" : "");
}

Served::Served(const ServedAs &s)
	: how(s), served(tmp + "/served"),
	  server(served, s.place == Place::upper ? top : low, s.is_new ? 0 : 3600)
{
	write_file(low + "/first", "");
	mount(options());
	/* Makes the union's own files on a branch. */
	OK(chmod(at("first").c_str(), 0600));
	OK(unlink(at("first").c_str()));
}

Served::~Served()
{
	ktap::guarded([this] {
		unmount();
		/* The kernel has closed all files that the union opened. */
		for (int i = 0; i < 5000 && server.handles(); i++)
			usleep(1000);
		EXPECT_EQ(server.handles(), 0);
	});
}

string Served::options() const
{
	return "br=" + upper() + "=rw:" + lower() + (how.place == Place::lower_rw ? "=rw" : "=ro");
}

void Served::mount_again()
{
	unmount();
	mount(options());
}

void Served::renew()
{
	if (!how.is_new)
		return;
	unmount();
	for (const string &branch : {upper(), lower()})
		for (const char *name : housekeeping)
			remove_tree(branch + "/" + name);
	mount(options());
}

static void expect_known_below(const string &dir, bool is_root)
{
	for (const string &name : names_in(dir)) {
		string path = dir + "/" + name;
		bool is_kept = std::find(std::begin(housekeeping), std::end(housekeeping), name) !=
			       std::end(housekeeping);
		if (name.starts_with(".wh..wh."))
			EXPECT(is_root ? is_kept : name == ".wh..wh..opq");
		else if (S_ISDIR(lstat_of(path).st_mode))
			expect_known_below(path, false);
	}
}

void Served::expect_known_names() const
{
	expect_known_below(top, true);
	expect_known_below(low, true);
	expect_no_debris(top);
	expect_no_debris(low);
}

bool Served::has_debris() const
{
	for (const string &branch : {top, low}) {
		string orphans = branch + "/.wh..wh.orph";
		if (exists(orphans) && !names_in(orphans).empty())
			return true;
	}
	return false;
}

string Fault::text() const
{
	return request.text() + (is_late ? ", late: " : ": ") +
	       (error ? ktap::errno_name(error) : "done");
}

bool Fault::is_believed() const
{
	switch (request.opcode) {
	case FUSE_LOOKUP:
	/* The kernel asks for a directory's attributes before it looks up a name in it. */
	case FUSE_GETATTR:
		return error == ENOENT;
	case FUSE_LISTXATTR:
		return error == EOPNOTSUPP;
	case FUSE_GETXATTR:
		return error == EOPNOTSUPP || error == EPERM || error == EACCES;
	case FUSE_SETXATTR:
		return error == EOPNOTSUPP || error == EPERM;
	default:
		return false;
	}
}

bool Fault::loses_what_moves() const
{
	return (request.opcode == FUSE_RENAME || request.opcode == FUSE_RENAME2) &&
	       (error == EINTR || error == ENOENT);
}

std::vector<Fault> faults_of(const std::vector<Request> &requests, bool is_late)
{
	/* Not ENOSYS: FUSE remembers that, and never asks again. */
	static constexpr int errnos[] = {EIO,	ENOMEM, ENOSPC, EDQUOT, EROFS,	    EACCES,
					 EPERM, ENOENT, ESTALE, EINTR,	EOPNOTSUPP, EMFILE};
	/* A killed task hardly sees its errno, so a few are enough. */
	static constexpr int late_errnos[] = {0, EIO, ENOSPC, ESTALE};
	std::vector<Fault> faults;
	for (const Request &request : requests) {
		if (is_late)
			for (int error : late_errnos)
				faults.push_back({request, error, true});
		else
			for (int error : errnos)
				faults.push_back({request, error, false});
	}
	return faults;
}
