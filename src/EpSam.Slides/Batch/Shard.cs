// Which part of the slides a process works on. Slides are dealt like cards, in order of their names: every process that
// is given the same slides and the same number of shards deals alike, without knowing of the others.
using System.Globalization;

namespace EpSam.Slides.Batch;

/// <summary>One of several parts of all slides.</summary>
/// <param name="Index">Which, from 0.</param>
/// <param name="Count">Of how many.</param>
public readonly record struct Shard(int Index, int Count)
{
    const int Most = 1_000_000;

    /// <summary>All slides.</summary>
    public static Shard All { get; } = new(0, 1);

    /// <summary>Whether the slide at a place in the list is one of these.</summary>
    public bool Has(int place) => place % Count == Index;

    /// <summary>As it is given: "1/4" is the first of four.</summary>
    public override string ToString() => $"{Index + 1}/{Count}";

    /// <summary>
    /// "2/4" is the second of four. "auto" is what the environment says: the task of a Slurm array (whose tasks may
    /// have any numbers at equal steps), or, as "auto/4", the pod of a Kubernetes job with indexed completions, which
    /// is told its own number and not how many there are.
    /// </summary>
    /// <param name="text">What is given.</param>
    /// <param name="variable">The environment.</param>
    /// <exception cref="FormatException">It is none of these, or the environment says something else.</exception>
    public static Shard Parse(string text, Func<string, string?> variable)
    {
        string[] parts = text.Split('/');
        if (parts.Length > 2 || (parts.Length == 1 && parts[0] != "auto")) throw Wrong(text);
        int? count = parts.Length == 2 ? Number(parts[1]) ?? throw Wrong(text) : null;
        if (count is < 1 or > Most) throw Wrong(text);
        if (parts[0] == "auto") return OfEnvironment(text, count, variable);
        int index = Number(parts[0]) ?? throw Wrong(text);
        return index >= 1 && index <= count ? new Shard(index - 1, count.Value)
            : throw new FormatException($"{text}: expected 1/{count} to {count}/{count}");
    }

    /// <summary>The name of a variable that says this process is one of several; null: it is alone.</summary>
    public static string? Hint(Func<string, string?> variable) =>
        Number(variable("SLURM_ARRAY_TASK_COUNT")) > 1 ? "SLURM_ARRAY_TASK_ID"
        : variable("JOB_COMPLETION_INDEX") is { Length: > 0 } ? "JOB_COMPLETION_INDEX" : null;

    static Shard OfEnvironment(string text, int? count, Func<string, string?> variable)
    {
        if (variable("SLURM_ARRAY_TASK_ID") is { Length: > 0 } task) return OfSlurm(text, task, count, variable);
        if (variable("JOB_COMPLETION_INDEX") is not { Length: > 0 } completion)
        {
            throw new FormatException($"{text}: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; give "
                + "which part of how many, as 1/4");
        }
        int index = Number(completion) ?? throw new FormatException($"JOB_COMPLETION_INDEX is {completion}");
        if (count is not int completions)
        {
            throw new FormatException("auto: Kubernetes does not tell a pod how many there are; give the job's "
                + "completions, as auto/4");
        }
        return index < completions ? new Shard(index, completions)
            : throw new FormatException($"{text}: JOB_COMPLETION_INDEX is {index}, so there are more than "
                + $"{completions}; give the job's completions");
    }

    // Ids go from MIN to MAX in steps: 0-3, 1-4, 5-20:5. A list with gaps (--array=1,3,4) has no such order.
    static Shard OfSlurm(string text, string task, int? count, Func<string, string?> variable)
    {
        int? id = Number(task), tasks = Number(variable("SLURM_ARRAY_TASK_COUNT")),
            first = Number(variable("SLURM_ARRAY_TASK_MIN")), last = Number(variable("SLURM_ARRAY_TASK_MAX"));
        if (id is null || tasks is null or < 1 or > Most || first is null || id < first)
        {
            throw new FormatException($"{text}: SLURM_ARRAY_TASK_ID, _COUNT and _MIN are '{task}', "
                + $"'{variable("SLURM_ARRAY_TASK_COUNT")}' and '{variable("SLURM_ARRAY_TASK_MIN")}'; give which part "
                + "of how many, as 1/4");
        }
        if (count is not null && count != tasks)
        {
            throw new FormatException($"{text}: this Slurm array has {tasks} tasks; leave out /{count}, or give which "
                + "part of how many, as 1/4");
        }
        int step = Number(variable("SLURM_ARRAY_TASK_STEP")) is int given and > 0 ? given : 1;
        int index = (id.Value - first.Value) / step;
        bool isEven = (id - first) % step == 0 && index < tasks
            && (last is null || last - first == (long)(tasks - 1) * step);
        return isEven ? new Shard(index, tasks.Value)
            : throw new FormatException($"{text}: the tasks of this Slurm array do not follow each other in equal "
                + $"steps; give --array=1-{tasks}, or which part of how many, as 1/{tasks}");
    }

    static int? Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : null;

    static FormatException Wrong(string text) => new($"{text}: expected PART/PARTS as 1/4, auto or auto/4");
}
