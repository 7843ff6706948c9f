// The threads that run blocks: one per core but the caller's, started once, idle between launches. A short spin before
// sleeping keeps the launch of a small kernel at a few microseconds.
namespace EpSam.VirtualGpu.Exec;

internal static class Workers
{
    const int SpinMicroseconds = 50;

    static readonly Lock gate = new();      // one grid at a time has the helpers
    static Helper[] helpers = [];

    /// <summary>Runs work(0) … work(count-1), each on a thread of its own; returns when all have finished.</summary>
    public static void Run(int count, Action<int> work)
    {
        if (count <= 1)
        {
            if (count == 1) work(0);
            return;
        }
        lock (gate)
        {
            while (helpers.Length < count - 1) helpers = [.. helpers, new Helper(helpers.Length + 1)];
            for (int i = 1; i < count; i++) helpers[i - 1].Start(work);
            Exception? first = null;
            try { work(0); }
            catch (Exception e) { first = e; }
            for (int i = 1; i < count; i++) first = helpers[i - 1].Wait() ?? first;
            if (first is not null) throw new AggregateException(first);
        }
    }

    sealed class Helper
    {
        readonly int index;
        readonly ManualResetEventSlim wake = new(false, SpinCount());
        readonly ManualResetEventSlim done = new(false, SpinCount());
        Action<int>? work;
        Exception? error;

        public Helper(int index)
        {
            this.index = index;
            new Thread(Loop) { IsBackground = true, Name = $"virtual GPU {index}" }.Start();
        }

        static int SpinCount() => SpinMicroseconds * 20;

        public void Start(Action<int> next)
        {
            work = next;
            done.Reset();
            wake.Set();
        }

        public Exception? Wait()
        {
            done.Wait();
            return error;
        }

        void Loop()
        {
            while (true)
            {
                wake.Wait();
                wake.Reset();
                error = null;
                try { work!(index); }
                catch (Exception e) { error = e; }
                done.Set();
            }
        }
    }
}
