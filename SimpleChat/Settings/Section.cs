using Microsoft.Extensions.Options;

namespace SimpleChat.Settings;

/// <summary>Reads a section of the configuration into an object when the host is built. What makes no sense stops the start.</summary>
internal static class Section
{
    /// <summary>Offers the section as a <typeparamref name="T"/>.</summary>
    /// <param name="section">Its name. A key in it that <typeparamref name="T"/> does not have is refused.</param>
    /// <param name="complaints">Says what is wrong with the values, each complaint naming its key; empty if nothing is.</param>
    public static void Register<T>(IServiceCollection services, string section, Func<T, IEnumerable<string>> complaints)
        where T : class
    {
        services.AddOptions<T>().BindConfiguration(section, binder => binder.ErrorOnUnknownConfiguration = true);
        services.AddSingleton(provider =>
        {
            T settings;
            try
            {
                settings = provider.GetRequiredService<IOptions<T>>().Value;
            }
            catch (InvalidOperationException e) // the binder: not a number, not a time, no such key
            {
                throw new StartException($"Section {section} of the configuration cannot be read: {e.Message}", e);
            }

            var complaint = string.Join(' ', complaints(settings));
            return complaint.Length == 0 ? settings : throw new StartException(complaint);
        });
    }
}
