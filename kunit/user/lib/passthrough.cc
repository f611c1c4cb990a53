// SPDX-License-Identifier: GPL-2.0-only

#include "passthrough_server.hh"

string Request::text() const
{
	const PassthroughServer::Opcode *which = PassthroughServer::find(opcode);
	return ktap::format("%s %u", which ? which->name : "?", nth) +
	       (name.empty() ? "" : " of '" + name + "'");
}

Passthrough::Passthrough(const string &path, const string &dir, unsigned lifetime)
{
	void *memory = OK(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	shared_ = new (memory) Shared();
	device_ = Fd(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
	if (device_ < 0)
		SKIP("no FUSE here: %s", strerrorname_np(errno));
	make_dir(path);
	mounted_ = Mounted("served", path, "fuse", 0,
			   ktap::format("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,"
					"default_permissions",
					int(device_)));
	pid_ = spawn([&] {
		commands_.write.reset();
		answers_.read.reset();
		PassthroughServer(*this, dir, lifetime).serve();
	});
	device_.reset();
	commands_.read.reset();
	answers_.write.reset();
}

Passthrough::~Passthrough()
{
	ktap::guarded([this] {
		mounted_.unmount();
		kill(pid_, SIGKILL);
		wait_for(pid_);
	});
	munmap(shared_, sizeof(Shared));
}

void Passthrough::delay(uint32_t opcode, unsigned milliseconds)
{
	shared_->slow_opcode = opcode;
	shared_->milliseconds = milliseconds;
}

/* Returns when the server has obeyed. */
void Passthrough::tell(Command command)
{
	OK(write(commands_.write, &command, 1));
	/* An end of file says that the server is gone. */
	ASSERT(wait_byte(answers_.read));
}

void Passthrough::choose(const Request &request, int error)
{
	shared_->opcode = request.opcode;
	shared_->nth = request.nth;
	ASSERT(request.name.size() < sizeof(shared_->name));
	strcpy(shared_->name, request.name.c_str());
	shared_->error = error;
}

void Passthrough::count()
{
	tell(Command::count);
}

std::vector<Request> Passthrough::counted()
{
	std::vector<Request> requests;
	tell(Command::stop_counting);
	for (const PassthroughServer::Opcode &opcode : PassthroughServer::known()) {
		unsigned times = opcode.is_waited_for ? shared_->counts[opcode.number] : 0;
		for (unsigned nth = 1; nth <= times; nth++)
			requests.push_back({opcode.number, nth, ""});
	}
	return requests;
}

void Passthrough::fail(const Request &request, int error)
{
	choose(request, error);
	tell(Command::fail);
}

void Passthrough::hold(const Request &request)
{
	choose(request, 0);
	tell(Command::hold);
}

bool Passthrough::is_held() const
{
	return shared_->is_held;
}

void Passthrough::release(int error)
{
	shared_->error = error;
	tell(Command::release);
}

bool Passthrough::end()
{
	tell(Command::end);
	return shared_->was_hit;
}

int Passthrough::handles() const
{
	return shared_->handles;
}
