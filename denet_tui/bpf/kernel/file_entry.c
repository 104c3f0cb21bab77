/*
 * What a call is about when it is entered, and what of that is told of a call in which a thread blocks.
 */

/*
 * Where it is kept what the running task's call is about: in its slot's place. Those whose slot is another's have theirs
 * in crowded_abouts, which is brought here, to the place of this CPU, and written back; all the rest knows one map alone.
 */
static __always_inline struct about *about_of(struct self *self, int enters)
{
    struct slot *slot = self->slot;
    u32 index = self->tid & (SLOTS - 1);
    if (!slot)
        return 0;
    if (slot->tid == self->tid)
        return abouts.lookup(&index);
    index = SLOTS + bpf_get_smp_processor_id();
    struct about *about = abouts.lookup(&index), *kept;
    if (!enters && about && (kept = crowded_abouts.lookup(&self->tid)))
        *about = *kept;
    return about;
}

/* A call that has found no row is in none of these tables, either. */
static __always_inline void miss_files(u8 abi, u32 nr)
{
    u32 *known = classes.lookup(&nr);
    if (abi == NATIVE && nr < NUMBERS - 1 && known && *known)
        turn_away(NO_ABOUT);
}

static __always_inline void enter_files(u64 place, struct self *self, struct task *task)
{
    u32 index = task->nr, *known = classes.lookup(&index);
    task->about = 0;
    if (task->abi != NATIVE) /* their arguments are elsewhere, their numbers others */
        turn_away(NOT_NATIVE);
    if (!known || !*known || index >= NUMBERS - 1 || task->abi != NATIVE)
        return;
    u32 class = *known;
    if (!may_tell(self)) {
        struct account *account = accounts.lookup(&task->tgid);
        if (!account || !account->held) /* else it is what the command is made of, which may not be traced */
            turn_away(UNTOLD);
        return;
    }
    char *registers = own_registers(place);
    struct about *about = registers ? about_of(self, 1) : 0;
    if (!about) {
        turn_away(NO_ABOUT);
        return;
    }
    u64 first = REGISTER(u64, registers, OFF_ARG_0), second = REGISTER(u64, registers, OFF_ARG_1);
    u64 third = REGISTER(u64, registers, OFF_ARG_2);
#define ARGUMENT(shift) (DOES(3 << (shift)) == 0 ? first : DOES(2 << (shift)) ? third : second)
    about->tid = self->tid;
    about->class = class;
    task->about = DOES(HAS_PATH | HAS_ADDRESS) ? ABOUT | GIVES : ABOUT;
    about->nr = task->nr;
    about->text = DOES(HAS_ADDRESS) ? second : ARGUMENT(16);
    about->size = third;
    if (DOES_ALL(MAKES_TWO | FOURTH))
        about->text = REGISTER(u64, registers, OFF_ARG_3);
    if (DOES_ALL(HAS_PATH | FIFTH))
        about->text = REGISTER(u64, registers, OFF_ARG_4);
    if (DOES(HAS_PEER) && DOES(WRITES) && DOES(MESSAGE))
        task->about = ABOUT | GIVES;
    else if (DOES(HAS_PEER) && DOES(WRITES)) {
        about->text = REGISTER(u64, registers, OFF_ARG_4);
        about->size = REGISTER(u64, registers, OFF_ARG_5);
        if (about->text)
            task->about = ABOUT | GIVES;
    }
    about->descriptor = first;
    about->folder = !DOES(HAS_FOLDER) ? AT_FDCWD : DOES_ALL(FIFTH) ? REGISTER(u64, registers, OFF_ARG_3) : DOES(2 << 16) ? second : first;
    about->at = -1;
    about->blocked_ns = task->clock.blocked_ns;
    about->file.device = about->second.device = 0;
    if (DOES(HAS_FILE))
        identify_file(&about->file, file_of(self, ARGUMENT(12)));
    if (DOES(HAS_SECOND)) {
        identify_file(&about->second, file_of(self, ARGUMENT(14)));
        if (!is_named(about, &about->second, ARGUMENT(14)))
            about->at = ARGUMENT(14);
    }
    if (!is_named(about, &about->file, ARGUMENT(12)))
        about->at = ARGUMENT(12);
    if (*(volatile s32 *)&about->at >= 0)
        look(self, about);
    if (self->slot && self->slot->tid != self->tid)
        crowded_abouts.update(&self->tid, about);
}

/*
 * The path or the address that the running task's call was given, for what a thread is in: when it blocks; of an
 * exec when it begins, for by then its memory may be that of another program.
 */
static __always_inline void give(struct self *self, struct task *task)
{
    u32 zero = 0;
    struct about *about = about_of(self, 0);
    struct given *given = given_draft.lookup(&zero);
    task->about = ABOUT;
    if (!about || !given || about->tid != self->tid || about->nr != task->nr || !may_tell(self))
        return;
    given->since_ns = task->since_ns;
    given->length = -1;
    if (DOES(HAS_PATH))
        given->length = read_user_str(given->text, GIVEN, (void *)about->text);
    else {
        u64 address = about->text;
        u32 size = about->size;
        if (DOES(HAS_PEER) && DOES(MESSAGE))
            read_message(about, &address, &size);
        if (size <= ADDRESS && READ_AT_MOST(ADDRESS, read_user, given->text, size, address) == 0)
            given->length = size;
    }
    givens.update(&self->tid, given);
}
